#include "cufile_state.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "counters.h"
#include "report.h"

namespace kvo::fake {

const Bridge* bridge() {
  static const Bridge* const found = [] {
    Dl_info here{};
    FindBridge* find = nullptr;
    if (::dladdr(reinterpret_cast<void*>(&bridge), &here) != 0) {
      const std::string path = here.dli_fname;
      const std::string beside = path.substr(0, path.rfind('/') + 1) + "libfake_cuda.so";
      void* const library = ::dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
      if (library != nullptr) find = reinterpret_cast<decltype(find)>(::dlsym(library, kFindBridge));
    }
    return find == nullptr ? nullptr : find();
  }();
  return found;
}

CuFileState& state() {
  static CuFileState& only = *new CuFileState();
  return only;
}

bool CuFileState::isUnderWay(CuFileHandle handle) const {
  return std::any_of(under_way.begin(), under_way.end(), [&](const Transfer& one) { return one.handle == handle; });
}

bool CuFileState::isUnderWay(uint64_t address, size_t bytes) const {
  return std::any_of(under_way.begin(), under_way.end(), [&](const Transfer& one) {
    return one.address < address + bytes && address < one.address + one.bytes;
  });
}

void freed(uint64_t address, size_t bytes) {
  const std::lock_guard lock(state().mutex);
  if (state().isUnderWay(address, bytes)) violation("freed during cuFile I/O: " + rangeText(address, bytes));
  for (auto at = state().buffers.begin(); at != state().buffers.end();) {
    const bool is_inside = at->first >= address && at->first - address < bytes;
    if (is_inside) {
      violation("freed while registered with cuFile: " + rangeText(at->first, at->second.bytes));
      count(Counter::kBuffers, -1);
      count(Counter::kBufferBytes, -static_cast<long long>(at->second.bytes));
    }
    at = is_inside ? state().buffers.erase(at) : std::next(at);
  }
}

bool isOther(const File& file) {
  struct stat info {};
  return ::fstat(file.fd, &info) != 0 || info.st_ino != file.inode || info.st_dev != file.device;
}

int checkedFile(int fd, File& file) {
  struct stat info {};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fstat(fd, &info) != 0) return kInvalidValue;
  // O_TMPFILE has O_DIRECTORY in it.
  if ((flags & (O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_TMPFILE)) != 0) return kInvalidOpenFlag;
  if (!S_ISREG(info.st_mode)) return kInvalidFileType;
  file = {fd, info.st_dev, info.st_ino};
  return 0;
}

int checkedMemory(uint64_t base, uint64_t from, size_t bytes) {
  const int device = bridge()->currentDevice();
  if (device < 0) return kInvalidContext;
  const Bridge::Block at = bridge()->locate(base, 1);
  if (at.place == Bridge::Place::kFreed) {
    violation("cuFile given freed memory: " + rangeText(base, bytes));
    return kPointerInvalid;
  }
  if (at.place == Bridge::Place::kHost) return base == 0 ? kPointerInvalid : kMemoryTypeInvalid;
  if (from < at.start || bytes > at.bytes || from - at.start > at.bytes - bytes) {
    violation("cuFile given memory outside an allocation: " + rangeText(from, bytes));
    return kRangeError;
  }
  return at.ordinal == device ? 0 : kContextMismatch;
}

}  // namespace kvo::fake
