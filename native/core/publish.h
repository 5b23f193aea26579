// Making a finished temporary file visible under its chunk's name, and its sidecar beside it.
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "core.h"

namespace kvo {

// A name in `directory` that nobody else uses: host, boot, pid and a counter, without the key, whose file name may
// be as long as names can be.
std::string temporaryName(Core& core, const std::string& directory);
// Makes something under such a name, with others while the name is taken: an earlier process may have had our pid.
template <typename Make>
int makeTemporary(Core& core, const std::string& directory, std::string& name, Make&& make) {
  int result = -EEXIST;
  for (int tries = 0; result == -EEXIST && tries < 1000; ++tries) {
    name = temporaryName(core, directory);
    result = make(name.c_str());
  }
  return result;
}
std::string directoryOf(const std::string& path);
// ".kvo-host-boot-pid-"
std::string temporaryPrefix();

// A temporary file that stands. Every path ends in remove() or moved(), but for that of a thread that was given up:
// then it is unlinked as the stack unwinds.
class Temporary {
 public:
  Temporary(Io& io, std::string name) : io_(io), name_(std::move(name)) {}
  ~Temporary() {
    if (!name_.empty()) io_.files()->unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const char* name() const { return name_.c_str(); }
  void remove() {
    const std::string name = std::exchange(name_, {});
    (void)io_.unlink(name.c_str());
  }
  void moved() { name_.clear(); }

 private:
  Io& io_;
  std::string name_;
};

// Data first, since the data file is authoritative, then the sidecar. `exists`: another writer was there first, and
// its file stands. The temporary name is gone afterwards in every case. A sidecar that can't be written is counted,
// not a failure: the chunk is a hit without it, and the next store mends it.
Status publish(Context& context, const Operation& op, Temporary& temporary, const std::string& sidecar_suffix,
               const char* header, bool& exists);

// Gives a data file the sidecar it lacks.
void mendSidecar(Context& context, const char* path, const std::string& sidecar_suffix, const char* header);

}  // namespace kvo
