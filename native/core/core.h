// What the engine's threads share. A thread holds a shared_ptr to it, so one that comes back from a hung system
// call after the engine is gone still finds everything it touches.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "batch.h"
#include "bounce.h"
#include "file_cache.h"
#include "io.h"
#include "queue.h"
#include "stats.h"

namespace kvo {

struct EngineOptions {
  int threads = 4;
  size_t slice_bytes = size_t{4} << 20;
  bool direct = false;
  size_t open_files = 1024;
  std::chrono::milliseconds timeout{10000};
};

struct Core {
  Core(EngineOptions options, std::shared_ptr<Files> files, std::function<void(std::shared_ptr<Batch>)> settled);

  const EngineOptions options;
  const std::shared_ptr<Files> files;
  const std::function<void(std::shared_ptr<Batch>)> settled;
  const std::string temporary_prefix;  // ".kvo-host-boot-pid-"
  // From anywhere, so that two engines of one process, or processes of one pid in two containers, do not meet.
  std::atomic<uint64_t> temporary_counter{std::random_device{}()};
  Stats stats;
  FileCache cache;
  TaskQueue queue;
  std::atomic<bool> closing{false};
  std::atomic<int> hung{0};  // threads given up on that have not come back

  // A filesystem that hangs takes a thread with each operation. Past this many nothing more is begun: operations
  // fail at once, until threads come back.
  bool wedged() const { return hung.load(std::memory_order_relaxed) >= options.threads * 4; }
  bool dropped(const Batch& batch) const {
    return batch.aborted.load(std::memory_order_acquire) || closing.load(std::memory_order_acquire);
  }

  // Records the operation's answer; the last of a batch hands the batch over.
  void answer(const std::shared_ptr<Batch>& batch, uint32_t operation, const Answer& answer);
};

// What one thread works with.
struct Context {
  Core& core;
  Io& io;
  Worker& worker;
  Bounce& bounce;
};

// Carries out one task; returns when it has nothing left to do for it. Throws Abandoned only.
void runTask(Context& context, Task& task);

}  // namespace kvo
