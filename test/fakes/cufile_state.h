// The fake cuFile's state and its checks.
#pragma once

#include <sys/types.h>

#include <list>
#include <map>
#include <mutex>
#include <string>

#include "bridge.h"
#include "faults.h"
#include "handles.h"
#include "shim/cufile.h"

namespace kvo::fake {

inline constexpr int kNotOpen = 5001;
inline constexpr int kPointerInvalid = 5012;
inline constexpr int kMemoryTypeInvalid = 5013;
inline constexpr int kRangeError = 5014;
inline constexpr int kContextMismatch = 5015;
inline constexpr int kMappingRange = 5017;
inline constexpr int kInvalidFileType = 5018;
inline constexpr int kInvalidOpenFlag = 5019;
inline constexpr int kInvalidValue = 5022;
inline constexpr int kAlreadyRegistered = 5023;
inline constexpr int kNotRegistered = 5024;
inline constexpr int kHandleNotRegistered = 5027;
inline constexpr int kHandleAlreadyRegistered = 5028;
inline constexpr int kSetupError = 5033;
inline constexpr int kPinningFailed = 5036;
inline constexpr int kInvalidContext = 5047;

// Null where there is no fake CUDA beside this library.
const Bridge* bridge();

struct File {
  int fd = -1;
  dev_t device = 0;
  ino_t inode = 0;
};

struct Registered {
  size_t bytes = 0;
  int ordinal = 0;
};

struct Transfer {
  CuFileHandle handle;
  uint64_t address;
  size_t bytes;
};

// What follows `mutex` is its.
class CuFileState {
 public:
  std::mutex mutex;
  unsigned opens = 0;
  std::map<uint64_t, Registered> buffers;
  std::list<Transfer> under_way;
  int stats_level = 0;
  bool are_stats_on = false;
  CuFileGpuStats gpu_stats[kCuFileMostGpus]{};
  Handles<CuFileHandle, File> files{"a cuFile handle"};

  bool isUnderWay(CuFileHandle handle) const;
  bool isUnderWay(uint64_t address, size_t bytes) const;
};

CuFileState& state();

// Tells where memory goes that cuFile still knows.
void freed(uint64_t address, size_t bytes);

// Whether its descriptor is another file's by now, or none's.
bool isOther(const File& file);

// 0 and the file, or a code.
int checkedFile(int fd, File& file);

// Device memory that the calling thread may use, all of it in one allocation: 0 or a code. The state is locked.
int checkedMemory(uint64_t base, uint64_t from, size_t bytes);

// What a call goes through first.
template <typename Body>
CuFileError call(const char* name, bool needs_driver, Body body) {
  const Fault fault = nextFault(name);
  if (fault.code != 0) return {fault.code, fault.cuda};
  const std::lock_guard lock(state().mutex);
  if (needs_driver && state().opens == 0) return {kNotOpen, 0};
  return {body(fault), 0};
}

// cuFileRead and cuFileWrite.
ssize_t transfer(bool is_read, CuFileHandle handle, const void* base, size_t bytes, off_t file_offset,
                 off_t base_offset);

}  // namespace kvo::fake
