// What became of an operation, and at which step it failed. No exceptions cross the core's public functions;
// errors travel as values until the binding turns them into words for JavaScript.
#pragma once

#include <cstdint>

namespace kvo {

// The numbers are part of the door (native/index.d.cts).
enum class Outcome : uint8_t {
  kDone = 0,
  kAbsent = 1,
  kExists = 2,
  kFailed = 3,
  kAborted = 4,
  kStuck = 5,
  kSizeMismatch = 6,
};

enum class Step : uint8_t {
  kNone,
  kOpen,
  kStat,
  kRead,
  kCreate,
  kMakeDirectory,
  kWrite,
  kTruncate,
  kSync,
  kVerify,
  kClose,
  kPublish,
  kSidecar,
  kUnlink,
  kMemory,
  kDevice,
  kDeviceMemory,
  kPinned,
  kCopy,
  kRegisterFile,
  kGdsRead,
  kGdsWrite,
};
inline constexpr const char* kStepNames[] = {"none", "open", "stat", "read", "create", "make directory", "write",
                                             "truncate", "sync", "verify", "close", "publish", "write sidecar",
                                             "unlink", "allocate memory",
                                             // CUDA's: the error is a CUresult.
                                             "start of CUDA", "cuMemAlloc", "cuMemHostAlloc", "copy with CUDA",
                                             // cuFile's: an errno, or from 5001 up a CUfileOpError.
                                             "cuFileHandleRegister", "cuFileRead", "cuFileWrite"};

// How the payload moved. Part of the door.
enum class Via : uint8_t { kNothing = 0, kBuffered = 1, kDirect = 2, kStaged = 3, kStagedDirect = 4, kGds = 5 };

// An errno (or for steps of CUDA and cuFile their own number) and the step that gave it; error 0 is success.
struct Status {
  int error = 0;
  Step step = Step::kNone;

  static Status fail(Step step, int error) { return {error, step}; }
  bool ok() const { return error == 0; }
};

}  // namespace kvo
