// The engine: a pool of threads that carries out batches of file operations and answers once for each batch.
//
//   auto engine = Engine({.threads = 16}, posixFiles(), [](std::shared_ptr<Batch> batch) { … });
//   engine.submit(batch);      // any thread; the callback runs on a thread of the pool when the batch settles
//   engine.close();            // refuses, drops the queue, waits for what is in flight, then calls `closed`
//
// Threads: submit, abort and close may be called from any thread. The callback must not block.
// A system call that takes longer than `timeout` is given up: its operation answers kStuck, its thread is replaced,
// and what it may still write to (segments, descriptor) is never used again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "batch.h"
#include "core.h"

namespace kvo {

class Engine {
 public:
  using Closed = std::function<void()>;

  Engine(const EngineOptions& options, std::shared_ptr<Files> files,
         std::function<void(std::shared_ptr<Batch>)> settled);
  // Closes, and waits until it has.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // False after close. The batch has operations, filled in but for their progress, and headers where any moves bytes.
  bool submit(const std::shared_ptr<Batch>& batch);
  // As submit, once what is returned is called, from any thread. Null after close.
  std::function<void()> submitLater(const std::shared_ptr<Batch>& batch);
  // Operations that have not begun answer kAborted, those under way stop at the next slice.
  void abort(const std::shared_ptr<Batch>& batch);
  // Idempotent. `closed` runs on an engine thread once nothing is in flight, or what is left is stuck.
  void close(Closed closed);
  // Waits until closed. From one thread only, and none of the engine's.
  void join();

  const Stats& stats() const { return core_->stats; }
  // What system calls are given up on and have not come back, such as "preadv of /path after 10000 ms".
  std::vector<std::string> stuck() const;

 private:
  void startWorker();
  void watch();
  bool overdue(Worker& worker, int64_t now, int64_t since) const;
  void giveUp(const std::shared_ptr<Worker>& worker);
  void giveUpStaged(Worker& worker);
  void handOn(const std::shared_ptr<Batch>& batch, uint32_t index);

  const std::shared_ptr<Core> core_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false;
  Closed closed_;
  struct Running {
    std::shared_ptr<Worker> worker;
    std::thread thread;
  };
  std::vector<Running> workers_;
  struct Stuck {
    std::shared_ptr<Worker> worker;
    std::string what;
  };
  std::vector<Stuck> stuck_;
  // Last: it uses all of the above from the moment it starts.
  std::thread watchdog_;
};

}  // namespace kvo
