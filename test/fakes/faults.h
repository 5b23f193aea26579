// Faults by text, for both fakes: rules separated by ';', each `call:fault[@first][xcount]`.
//   call    as the shim names its functions (native/shim/cuda.h, cufile.h): allocate, copyBatch, openIpc, read, …
//           and streamCopy, streamKernel, streamHost: the same work when a stream comes to do it
//   fault   N           the call answers N: a CUDA result, a cuFile code (`5011=2`: with CUDA's 2 beside it); read and
//                       write give -N. Where a stream does the work, the context fails with N
//           EIO …       read and write: -1 with that errno
//           short=N     read and write: at most N bytes; `eof` is short=0
//           posix       read and write: counted as done by POSIX
//           delay=MS    the call, then as ever
//           hang        … but only once the control file is gone or asks for it no more; by environment, never
//           above=MIB   registerBuffer, allocate, allocateHost: more than that is refused, with 5036 or CUDA's 2;
//                       `above=MIB=N`: with N
//           crash       closeDriver: where nothing is open it aborts
//           absent      copyBatch, waitEvent, setStatsLevel, startStats, stopStats, stats, version, write: there is no such symbol
//   first   the first call of that name that is hit, from 1 (default 1); count: how many (default all from there)
//
// They come from KVO_FAKE_FAULTS, read once, and from the file that KVO_FAKE_CONTROL names, looked at on every call;
// a change of that file starts its counting anew. Rules that hit the same call add up. Any thread.
#pragma once

#include <cstddef>
#include <optional>

namespace kvo::fake {

struct Fault {
  int code = 0;
  int cuda = 0;
  int error = 0;  // an errno
  std::optional<size_t> most;
  bool posix = false;
  bool crash = false;
  std::optional<size_t> above;  // bytes
  int above_code = 0;           // 0: the call's own

  // The code for a request of that size, or 0.
  int refuses(size_t bytes, int usual) const {
    if (code != 0) return code;
    if (!above || bytes <= *above) return 0;
    return above_code != 0 ? above_code : usual;
  }
};

// Counts a call, waits as its rules say and tells what else they say.
Fault nextFault(const char* call);

bool isAbsent(const char* call);

// A whole number out of the environment.
long long setting(const char* name, long long otherwise);

}  // namespace kvo::fake
