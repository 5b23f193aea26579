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

enum class QueueLane : uint8_t { kRead, kWrite };

struct Task {
  enum class Kind : uint8_t {
    kRange,   // operations [first, last), not begun
    kHelp,    // slices of operation `first`, as long as there are any
    kSlice,   // one slice of operation `first`, which a thread that hangs had taken on
    kFinish,  // operation `first`, whose last slice was accounted for by the watchdog
  };
  std::shared_ptr<Batch> batch;
  uint32_t first = 0;
  uint32_t last = 0;
  Kind kind = Kind::kRange;
  QueueLane lane = QueueLane::kRead;
  uint32_t slice = 0;  // kSlice's
};

class TaskQueue {
 public:
  void push(Task task);
  void push(std::vector<Task>& tasks);  // leaves `tasks` empty
  // An operation with slices for others: threads that find nothing queued take some, until all are claimed.
  void offer(Task help);
  // Waits for a task; false once the queue is stopped and empty.
  bool pop(Task& task);
  // The same without waiting; false where nothing is queued now.
  bool tryPop(Task& task);
  // Threads leave once nothing is queued.
  void stop();
  // Takes out what has not begun, of one batch or (null) of all.
  std::vector<Task> takeRanges(const Batch* batch);
  bool readsWaiting() const;

 private:
  // A write is taken at the latest after this many reads in a row.
  static constexpr int kReadsInARow = 8;

  bool take(Task& task);
  bool takeHelp(Task& task);
  std::deque<Task>& lane(QueueLane lane) { return lane == QueueLane::kRead ? reads_ : writes_; }

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> reads_;
  std::deque<Task> writes_;
  std::deque<Task> offered_;  // as many as there are threads, or little more: whoever begins one goes on with it
  int reads_in_a_row_ = 0;
  bool stopped_ = false;
};

}  // namespace kvo
