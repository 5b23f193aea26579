// What was done through a fake, for tests to look at: how many of each, or how many there are now.
//
// They are text, a line `name value` each, in a memfd named kvo-fake-counters:LIBRARY, so that any process that may
// read /proc/PID/fd finds them there: a test in the same process, or the parent of a child under test. Any thread.
#pragma once

namespace kvo::fake {

enum class Counter {
  kViolations,
  // There now.
  kDeviceBlocks,
  kDeviceBytes,
  kImports,
  kPinnedBlocks,
  kPinnedBytes,
  kContexts,
  kStreams,
  kEvents,
  kModules,
  // Done so far.
  kCopies,       // one by one, asynchronous or not
  kBatches,      // cuMemcpyBatchAsync
  kBatchCopies,  // … and the copies inside them
  kPageable,     // asynchronous copies that were not, since their host memory is not pinned
  kLaunches,     // of kernels
  kJobs,         // … and the jobs inside them
  kHostCalls,    // host functions called by streams
  // cuFile: there now.
  kDriverOpens,
  kHandles,
  kBuffers,
  kBufferBytes,
  kUnderWay,  // reads and writes
  // cuFile: done so far.
  kReads,
  kWrites,
  kUnregistered,  // reads and writes with memory that is not registered, or by an interior pointer
  kPosix,         // reads and writes counted as POSIX
  kCount,
};

void count(Counter counter, long long change = 1);

}  // namespace kvo::fake
