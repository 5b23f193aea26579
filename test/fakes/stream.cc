#include "stream.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "counters.h"
#include "faults.h"
#include "memory.h"
#include "report.h"

namespace kvo::fake {
namespace {

constexpr CudaResult kIllegalAddress = 700;

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

int64_t lag() {
  static const int64_t ns = setting("KVO_FAKE_LAG_US", 50) * 1000;
  return ns;
}

bool overlap(CudaAddress a, size_t a_bytes, CudaAddress b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

}  // namespace

bool& inHostFunction() {
  KVO_FAKE_THREAD_LOCAL bool inside = false;
  return inside;
}

bool Recording::isDone() {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Recording::finish() {
  const std::lock_guard lock(mutex_);
  done_ = true;
  changed_.notify_all();
}

void Recording::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
}

size_t firstBadCopy(Memory& memory, const std::vector<Copy>& copies, const char* when) {
  for (size_t index = 0; index < copies.size(); ++index) {
    const Copy& copy = copies[index];
    for (const CudaAddress address : {copy.to, copy.from}) {
      const Located at = memory.locate(address, copy.bytes);
      if (at.isGood()) continue;
      const char* const what = at.what == Located::What::kFreed ? "freed" : "outside an allocation";
      violation(std::string(when) + ": memory " + what + ": " + rangeText(address, copy.bytes));
      return index;
    }
  }
  return copies.size();
}

void Stream::submit(Work work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back({std::move(work), now() + lag()});
  if (!started_) {
    started_ = true;
    std::thread([self = shared_from_this()] { self->loop(); }).detach();
  }
  changed_.notify_all();
}

std::shared_ptr<Recording> Stream::record() {
  auto recording = std::make_shared<Recording>();
  Work work;
  work.always = true;
  work.run = [recording](Health&) { recording->finish(); };
  submit(std::move(work));
  return recording;
}

void Stream::waitFor(std::shared_ptr<Recording> recording) {
  Work work;
  work.always = true;
  work.run = [recording = std::move(recording)](Health&) { recording->wait(); };
  submit(std::move(work));
}

void Stream::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool Stream::isIdle() {
  const std::lock_guard lock(mutex_);
  return queue_.empty();
}

bool Stream::uses(CudaAddress address, size_t bytes) {
  const std::lock_guard lock(mutex_);
  return std::any_of(queue_.begin(), queue_.end(), [&](const Queued& queued) {
    return std::any_of(queued.work.copies.begin(), queued.work.copies.end(), [&](const Copy& copy) {
      return overlap(copy.to, copy.bytes, address, bytes) || overlap(copy.from, copy.bytes, address, bytes);
    });
  });
}

void Stream::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return;
    // A deque's elements stay where they are while others are added behind.
    const Queued& first = queue_.front();
    lock.unlock();
    const int64_t early = first.due_ns - now();
    if (early > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(early));
    perform(first.work);
    lock.lock();
    queue_.pop_front();
  }
}

void Stream::perform(const Work& work) {
  if (!work.always && health_.error() != kCudaSuccess) return;
  if (work.fault != nullptr) {
    const Fault fault = nextFault(work.fault);
    if (fault.code != 0) {
      health_.fail(fault.code);
      return;
    }
  }
  if (work.run) work.run(health_);
  else copyAll(work.copies);
}

void Stream::copyAll(const std::vector<Copy>& copies) {
  if (firstBadCopy(memory_, copies, "a copy on a stream") != copies.size()) {
    health_.fail(kIllegalAddress);
    return;
  }
  for (const Copy& copy : copies) {
    if (copyBytes(memory_.locate(copy.to, copy.bytes), memory_.locate(copy.from, copy.bytes), copy.bytes)) continue;
    health_.fail(kIllegalAddress);
    return;
  }
}

}  // namespace kvo::fake
