#include "library.h"

#include <dlfcn.h>
#include <link.h>

namespace kvo {

std::string Library::open(const std::string& path, std::initializer_list<const char*> names) {
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  std::string why;
  if (!path.empty()) {
    handle_ = dlopen(path.c_str(), kFlags);
    if (handle_ == nullptr) why = dlerror();
  } else {
    for (const char* name : names) {
      handle_ = dlopen(name, kFlags);
      if (handle_ != nullptr) break;
      // The first name's reason: the others are older spellings of it.
      const char* const reason = dlerror();
      if (why.empty()) why = reason;
    }
  }
  if (handle_ == nullptr) return why;
  link_map* loaded = nullptr;
  path_ = path;
  if (dlinfo(handle_, RTLD_DI_LINKMAP, &loaded) == 0 && loaded->l_name[0] != '\0') path_ = loaded->l_name;
  return {};
}

void* Library::find(const char* symbol) const { return handle_ == nullptr ? nullptr : dlsym(handle_, symbol); }

}  // namespace kvo
