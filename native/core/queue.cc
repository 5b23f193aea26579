#include "queue.h"

#include "batch.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace kvo {
namespace {

bool hasSlices(const Task& offer) {
  const Operation& op = offer.batch->operations[offer.first];
  return op.next_slice.load(std::memory_order_acquire) < op.slices;
}

}  // namespace

void TaskQueue::push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    lane(task.lane).push_back(std::move(task));
  }
  ready_.notify_one();
}

void TaskQueue::push(std::vector<Task>& tasks) {
  {
    const std::lock_guard lock(mutex_);
    for (Task& task : tasks) lane(task.lane).push_back(std::move(task));
  }
  if (tasks.size() == 1) ready_.notify_one();
  else ready_.notify_all();
  tasks.clear();
}

bool TaskQueue::pop(Task& task) {
  std::unique_lock lock(mutex_);
  // Not wait(): its symbol is GLIBCXX_3.4.30's, and would raise the floor of the prebuilt binary above RHEL 9.
  bool taken = false;
  const auto due = [&] {
    taken = take(task);
    return taken || stopped_;
  };
  while (!ready_.wait_for(lock, std::chrono::hours(1), due)) continue;
  return taken;
}

void TaskQueue::offer(Task help) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(offered_, [](const Task& task) { return !hasSlices(task); });
    // Reads first, as everywhere.
    if (help.lane == QueueLane::kRead) offered_.push_front(std::move(help));
    else offered_.push_back(std::move(help));
  }
  ready_.notify_all();
}

bool TaskQueue::takeHelp(Task& task) {
  std::erase_if(offered_, [](const Task& offer) { return !hasSlices(offer); });
  if (offered_.empty()) return false;
  task = offered_.front();
  return true;
}

bool TaskQueue::tryPop(Task& task) {
  const std::lock_guard lock(mutex_);
  return take(task);
}

bool TaskQueue::take(Task& task) {
  if (reads_.empty() && writes_.empty()) return takeHelp(task);
  const bool read = !reads_.empty() && (writes_.empty() || reads_in_a_row_ < kReadsInARow);
  reads_in_a_row_ = read ? std::min(reads_in_a_row_ + 1, kReadsInARow) : 0;
  std::deque<Task>& from = read ? reads_ : writes_;
  task = std::move(from.front());
  from.pop_front();
  return true;
}

void TaskQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  ready_.notify_all();
}

std::vector<Task> TaskQueue::takeRanges(const Batch* batch) {
  std::vector<Task> taken;
  const std::lock_guard lock(mutex_);
  for (std::deque<Task>* from : {&reads_, &writes_}) {
    const auto keep = std::stable_partition(from->begin(), from->end(), [batch](const Task& task) {
      return task.kind != Task::Kind::kRange || (batch != nullptr && task.batch.get() != batch);
    });
    std::move(keep, from->end(), std::back_inserter(taken));
    from->erase(keep, from->end());
  }
  return taken;
}

bool TaskQueue::readsWaiting() const {
  const std::lock_guard lock(mutex_);
  return !reads_.empty();
}

}  // namespace kvo
