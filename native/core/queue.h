// What the pool's threads take from: two lanes, reads preferred, writes never starved. Safe for any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace kvo {

struct Batch;

enum class Lane : uint8_t { kRead, kWrite };

struct Task {
  enum class Kind : uint8_t {
    kRange,   // operations [first, last), not begun
    kHelp,    // slices of operation `first`, as long as there are any
    kFinish,  // operation `first`, whose last slice was accounted for by the watchdog
  };
  std::shared_ptr<Batch> batch;
  uint32_t first = 0;
  uint32_t last = 0;
  Kind kind = Kind::kRange;
  Lane lane = Lane::kRead;
};

class TaskQueue {
 public:
  void push(Task task);
  void push(std::vector<Task>& tasks);  // leaves `tasks` empty
  // Waits for a task; false once the queue is stopped and empty.
  bool pop(Task& task);
  // Threads leave once nothing is queued.
  void stop();
  // Takes out what has not begun, of one batch or (null) of all.
  std::vector<Task> takeRanges(const Batch* batch);
  bool readsWaiting() const;

 private:
  // A write is taken at the latest after this many reads in a row.
  static constexpr int kReadsInARow = 8;

  std::deque<Task>& lane(Lane lane) { return lane == Lane::kRead ? reads_ : writes_; }

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> reads_;
  std::deque<Task> writes_;
  int reads_in_a_row_ = 0;
  bool stopped_ = false;
};

}  // namespace kvo
