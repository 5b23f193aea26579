// A stream of the fake: a thread that does what it was given, in order and late, so that code which looks before it has
// waited sees the old bytes. KVO_FAKE_LAG_US says how late at least (default 50).
//
// Work that finds a bad address, or is told to fail (streamCopy, streamKernel, streamHost), fails the context for good,
// as with a GPU; what follows is then left undone, host functions too.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shim/cuda.h"

// Of small things that need no destructor. A loaded library's other thread locals lie on the heap, and ThreadSanitizer
// takes the next thread's taking of that memory for a race.
#define KVO_FAKE_THREAD_LOCAL thread_local __attribute__((tls_model("initial-exec")))

namespace kvo::fake {

class Memory;

// What may fail for good.
class Health {
 public:
  CudaResult error() const { return error_.load(); }
  void fail(CudaResult error) {
    CudaResult none = kCudaSuccess;
    error_.compare_exchange_strong(none, error);
  }
  void recover() { error_.store(kCudaSuccess); }

 private:
  std::atomic<CudaResult> error_{kCudaSuccess};
};

// One recording of an event, done when its stream gets there.
class Recording {
 public:
  Recording() = default;
  virtual ~Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  virtual bool isDone();
  virtual void wait();
  void finish();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

struct Copy {
  CudaAddress to = 0;
  CudaAddress from = 0;
  size_t bytes = 0;
};

struct Work {
  std::vector<Copy> copies;          // what it touches: of a kernel, as its jobs were when it was launched
  std::function<void(Health&)> run;  // null: the copies are the work
  bool always = false;               // even in a context that failed
  const char* fault = nullptr;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Memory& memory, Health& health, bool is_blocking)
      : is_blocking(is_blocking), memory_(memory), health_(health) {}

  const bool is_blocking;  // towards the null stream

  void submit(Work work);
  std::shared_ptr<Recording> record();
  void waitFor(std::shared_ptr<Recording> recording);
  // Until all that was submitted so far is done. An idle stream is left without a thread.
  void drain() {
    if (!isIdle()) record()->wait();
  }
  // Lets the thread end once it has done everything.
  void close();
  // Whether work not done yet touches the range.
  bool uses(CudaAddress address, size_t bytes);
  bool isIdle();
  bool isOf(const Health& health) const { return &health == &health_; }

 private:
  struct Queued {
    Work work;
    int64_t due_ns = 0;
  };

  void loop();
  void perform(const Work& work);
  void copyAll(const std::vector<Copy>& copies);

  Memory& memory_;
  Health& health_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Queued> queue_;  // its first one may be under way
  bool started_ = false;
  bool closed_ = false;
};

// Whether the calling thread runs a host function, where no call of CUDA is allowed.
bool& inHostFunction();

// Checks copies where they are given and again where they are made. Returns the index of the first bad one, or their
// number; reports what was freed or runs past an allocation's end.
size_t firstBadCopy(Memory& memory, const std::vector<Copy>& copies, const char* when);

}  // namespace kvo::fake
