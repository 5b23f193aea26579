// The fake CUDA driver's state: contexts, and what lives in them. Any thread.
//
// Settings, read from the environment:
//   KVO_FAKE_DEVICES=N          how many devices (default 1; 0: none, and cuInit says so)
//   KVO_FAKE_MEMORY_MIB=N       each one's memory (default 80 GiB)
//   KVO_FAKE_DRIVER_VERSION=N   default 12080; below it there is no cuMemcpyBatchAsync
//   KVO_FAKE_LENT=N,N,…         allocations of so many bytes that the process's own application seems to hold on device
//                               0 from cuInit on (memfds named kvo-fake-lent:…); it retains the context too
//   KVO_FAKE_LAG_US=N           stream.h
//   KVO_FAKE_FAULTS, KVO_FAKE_CONTROL   faults.h
//   KVO_FAKE_REPORT             report.h
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "faults.h"
#include "handles.h"
#include "memory.h"
#include "shared_event.h"
#include "shim/cuda.h"
#include "stream.h"

namespace kvo::fake {

inline constexpr CudaResult kInvalidValue = 1;
inline constexpr CudaResult kNotInitialized = 3;
inline constexpr CudaResult kNoDevice = 100;
inline constexpr CudaResult kInvalidDevice = 101;
inline constexpr CudaResult kInvalidContext = 201;
inline constexpr CudaResult kInvalidHandle = 400;
inline constexpr CudaResult kNotFound = 500;
inline constexpr CudaResult kIllegalAddress = 700;
inline constexpr CudaResult kNotPermitted = 800;

struct Context {
  int ordinal = 0;
  std::atomic<unsigned> retained{0};
  Health health;
  std::shared_ptr<Stream> null_stream;
};

struct StreamOf {
  std::shared_ptr<Stream> stream;
  Context* context = nullptr;
};

struct EventOf {
  Context* context = nullptr;
  std::mutex mutex;
  std::shared_ptr<Recording> last;  // null: never recorded, which counts as done
  bool interprocess = false;
  std::shared_ptr<SharedEvent> shared;  // once exported, and of another process's
};

struct ModuleOf {
  Context* context = nullptr;
};

class Driver {
 public:
  Driver();

  Memory memory;
  std::vector<std::unique_ptr<Context>> contexts;  // one a device, the primary one
  Handles<CudaStream, StreamOf> streams{"a stream"};
  Handles<CudaEvent, EventOf> events{"an event"};
  Handles<CudaModule, ModuleOf> modules{"a module"};
  Handles<CudaFunction, ModuleOf> functions{"a function of a module"};
  std::atomic<bool> is_initialized{false};
  std::atomic<void (*)(uint64_t address, size_t bytes)> on_free{nullptr};

  // Null where it is none. The null stream's handle gives the current context's.
  std::shared_ptr<StreamOf> streamOf(CudaStream handle);
  std::shared_ptr<Stream> newStream(Context& context, bool is_blocking);
  // The null stream and its context's blocking streams wait for each other: before work is submitted to either.
  void order(Context& context, Stream& stream);
  // Waits for a context's streams: all, or those alone that the null stream waits for, and itself.
  void drain(Context& context, bool blocking_only = false);
  // All that lives in it goes, as with its last release.
  void empty(Context& context);
  void lend();

 private:
  void freeing(CudaAddress address, size_t bytes, const char* what);

  std::vector<std::shared_ptr<Stream>> made();

  std::mutex mutex_;
  std::vector<std::weak_ptr<Stream>> made_;  // those too whose handle is gone and whose work is not
};

Driver& driver();

// The calling thread's contexts; the last is current.
struct ContextStack {
  Context* at[16];
  size_t depth;
};
ContextStack& contextStack();
Context* currentContext();

bool isNullStream(CudaStream handle);

int driverVersion();

// On the host, by a stream, what native/kernels/move.cu does on the device.
CudaResult launchMove(Context& context, Stream& stream, unsigned threads, CudaAddress jobs, unsigned number);

enum class Needs { kNothing, kInit, kContext };

// What every call goes through: its faults, then what it needs, then itself.
template <typename Body>
CudaResult call(const char* name, Needs needs, Body body) {
  const Fault fault = nextFault(name);
  if (fault.code != 0) return fault.code;
  if (inHostFunction()) return kNotPermitted;
  if (needs != Needs::kNothing && !driver().is_initialized.load()) return kNotInitialized;
  if (needs == Needs::kContext) {
    if (currentContext() == nullptr || currentContext()->retained.load() == 0) return kInvalidContext;
    if (const CudaResult error = currentContext()->health.error(); error != kCudaSuccess) return error;
  }
  if constexpr (std::is_invocable_v<Body, const Fault&>) return body(fault);
  else return body();
}

}  // namespace kvo::fake
