// One thread of the pool, as others see it: which system call it is in, since when, and for which operation.
//
// A call that hangs in the kernel can't be cancelled. The watchdog then abandons the worker: it takes over the
// operation's accounting and starts another thread. Ownership passes by one compare-and-swap on `call`: whoever
// wins (the worker leaving the call, or the watchdog giving it up) accounts for the work, the other touches nothing.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace kvo {

struct Batch;
class Lane;

// Where in an operation's life the worker stands; the watchdog finishes what the phase calls for.
// Between slices nothing of the operation is at stake.
enum class Phase : uint8_t { kWhole, kSlice, kBetween };

// Thrown by Io when a system call returns after the watchdog gave it up; unwinds to the end of the thread.
struct Abandoned {};

// Nanoseconds of a clock that costs a few to read and is good to a few milliseconds.
inline int64_t coarseNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

struct Worker {
  static constexpr uint32_t kNothing = UINT32_MAX;
  static constexpr int64_t kIdle = 0;
  static constexpr int64_t kAbandoned = -1;
  static constexpr int64_t kGone = -2;  // the thread has ended, or is about to; an abandoned one too

  // kIdle, kAbandoned, kGone, or the start of the system call the thread is in.
  std::atomic<int64_t> call{kIdle};

  // Written by the thread outside calls; read by the watchdog once it has abandoned the worker.
  // The operation that the call is for.
  std::shared_ptr<Batch> batch;  // null between tasks, and while copies of several operations are waited for
  uint32_t operation = 0;
  Phase phase = Phase::kWhole;
  const char* call_name = "";
  bool in_driver = false;  // a call of CUDA's or cuFile's
  // What else it has taken on: operations [next, last) not begun, and slices of one that it goes on claiming.
  std::shared_ptr<Batch> task;  // null between tasks
  uint32_t next = 0;
  uint32_t last = 0;
  uint32_t slicing = kNothing;
  // And slices on their way to or from device memory; null without a device.
  std::shared_ptr<Lane> lane;

  void enter(const char* name) {
    call_name = name;
    call.store(coarseNow(), std::memory_order_release);
  }
  void leave() {
    int64_t now = call.load(std::memory_order_relaxed);
    if (now == kAbandoned || !call.compare_exchange_strong(now, kIdle, std::memory_order_acq_rel)) throw Abandoned{};
  }
};

}  // namespace kvo
