// What the engine's threads share. A thread holds a shared_ptr to it, so one that comes back from a hung system
// call after the engine is gone still finds everything it touches.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "batch.h"
#include "bounce.h"
#include "device.h"
#include "file_cache.h"
#include "gds.h"
#include "io.h"
#include "lane.h"
#include "queue.h"
#include "stats.h"

namespace kvo {

struct EngineOptions {
  int threads = 4;
  size_t slice_bytes = size_t{4} << 20;
  bool direct = false;
  size_t open_files = 1024;
  std::chrono::nanoseconds kept_open = std::chrono::seconds(1);
  std::chrono::milliseconds timeout{10000};
  // Null: operations on device memory are refused.
  std::shared_ptr<Device> device = nullptr;
  // Null: no operation goes through cuFile.
  std::shared_ptr<Gds> gds = nullptr;
  // What cuFile refuses fails, in place of being staged.
  bool require_gds = false;
};

struct Core {
  Core(const EngineOptions& options, std::shared_ptr<Files> files, std::function<void(std::shared_ptr<Batch>)> settled);

  EngineOptions options;  // fixed, but that its device and cuFile are let go of at the end
  const std::shared_ptr<Files> files;
  const std::function<void(std::shared_ptr<Batch>)> settled;
  const std::string temporary_prefix;  // ".kvo-host-boot-pid-"
  // From anywhere, so that two engines of one process, or processes of one pid in two containers, do not meet.
  std::atomic<uint64_t> temporary_counter{std::random_device{}()};
  std::shared_ptr<StageMemory> stages;  // null without a device, and once closed
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

  // A batch that waits for something else before it is queued: what is returned queues it, once, from any thread. An
  // abort or a close answers it meanwhile.
  std::function<void()> hold(const std::shared_ptr<Core>& self, const std::shared_ptr<Batch>& batch);
  // Those held, of one batch or (null) all; they are no longer.
  std::vector<std::shared_ptr<Batch>> takeHeld(const Batch* batch);
  void queueBatch(const std::shared_ptr<Batch>& batch);
  void answerAll(const std::shared_ptr<Batch>& batch, const Answer& answer);

  // Records the operation's answer; the last of a batch hands the batch over.
  void answer(const std::shared_ptr<Batch>& batch, uint32_t operation, const Answer& answer);

 private:
  std::mutex held_mutex_;
  std::vector<std::shared_ptr<Batch>> held_;
};

// What one thread works with.
struct Context {
  Core& core;
  Io& io;
  Worker& worker;
  Bounce& bounce;
  Lane* lane;  // null without a device
};

// Carries out one task; returns when it has nothing left to do for it. Throws Abandoned only.
void runTask(Context& context, Task& task);

}  // namespace kvo
