#include "queue.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace kvo {

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
  const auto due = [this] { return stopped_ || !reads_.empty() || !writes_.empty(); };
  while (!ready_.wait_for(lock, std::chrono::hours(1), due)) continue;
  if (reads_.empty() && writes_.empty()) return false;
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
