// What the pool's threads are given, and in which order.
#include "core/queue.h"
#include "check.h"
#include "core/batch.h"
#include "rig.h"

using namespace kvo;

namespace {

Task task(QueueLane lane, uint32_t number = 0, std::shared_ptr<Batch> batch = nullptr,
          Task::Kind kind = Task::Kind::kRange) {
  return {std::move(batch), number, number + 1, kind, lane};
}

// The lanes of the next `count` tasks, such as "RRW".
std::string lanes(TaskQueue& queue, size_t count) {
  std::string order;
  for (Task next; order.size() < count && queue.pop(next);) order += next.lane == QueueLane::kRead ? 'R' : 'W';
  return order;
}

}  // namespace

TEST(readsGoFirstButEveryNinthTaskIsAWrite) {
  TaskQueue queue;
  for (int write = 0; write < 4; ++write) queue.push(task(QueueLane::kWrite));
  for (int read = 0; read < 20; ++read) queue.push(task(QueueLane::kRead));
  CHECK_EQ(lanes(queue, 24), "RRRRRRRRWRRRRRRRRWRRRRWW");
}

TEST(writeIsNotPutOffByReadsThatWentBefore) {
  TaskQueue queue;
  for (int read = 0; read < 1000; ++read) queue.push(task(QueueLane::kRead));
  CHECK_EQ(lanes(queue, 500).find('W'), std::string::npos);
  queue.push(task(QueueLane::kWrite));
  CHECK_EQ(lanes(queue, 1), "W");
  CHECK_EQ(lanes(queue, 8), "RRRRRRRR");
}

TEST(lanesKeepTheirOrder) {
  TaskQueue queue;
  std::vector<Task> tasks;
  for (uint32_t number = 0; number < 10; ++number) tasks.push_back(task(QueueLane::kRead, number));
  queue.push(tasks);
  CHECK(tasks.empty());
  Task next;
  for (uint32_t number = 0; number < 10; ++number) {
    CHECK(queue.pop(next));
    CHECK_EQ(next.first, number);
  }
}

TEST(stoppedQueueIsEmptiedFirst) {
  TaskQueue queue;
  queue.push(task(QueueLane::kRead));
  queue.push(task(QueueLane::kWrite));
  queue.stop();
  CHECK_EQ(lanes(queue, 10), "RW");
  queue.push(task(QueueLane::kWrite));  // by a thread that still had work to hand on
  CHECK_EQ(lanes(queue, 10), "W");
  Task next;
  CHECK(!queue.pop(next));
}

TEST(stopWakesWhoWaits) {
  TaskQueue queue;
  std::vector<std::thread> threads;
  std::atomic<int> ended{0};
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (Task next; queue.pop(next);) {
      }
      ++ended;
    });
  }
  queue.push(task(QueueLane::kRead));
  queue.stop();
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(ended.load(), 4);
}

TEST(onlyWhatHasNotBegunIsTakenOut) {
  TaskQueue queue;
  const auto one = std::make_shared<Batch>();
  const auto two = std::make_shared<Batch>();
  for (uint32_t number = 0; number < 3; ++number) {
    queue.push(task(QueueLane::kRead, number, one));
    queue.push(task(QueueLane::kWrite, number, two));
    queue.push(task(QueueLane::kWrite, number, one, Task::Kind::kHelp));
    queue.push(task(QueueLane::kRead, number, one, Task::Kind::kFinish));
  }
  CHECK_EQ(queue.takeRanges(one.get()).size(), 3U);
  CHECK_EQ(queue.takeRanges(one.get()).size(), 0U);
  CHECK_EQ(queue.takeRanges(nullptr).size(), 3U);
  queue.stop();
  CHECK_EQ(lanes(queue, 100).size(), 6U);
}

TEST(everyTaskIsTakenOnce) {
  TaskQueue queue;
  constexpr uint32_t kTasks = 4000;
  std::vector<std::atomic<int>> taken(kTasks);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (Task next; queue.pop(next);) ++taken[next.first];
    });
  }
  for (uint32_t number = 0; number < kTasks; ++number)
    queue.push(task(number % 3 == 0 ? QueueLane::kWrite : QueueLane::kRead, number));
  queue.stop();
  for (std::thread& thread : threads) thread.join();
  for (const auto& times : taken) CHECK_EQ(times.load(), 1);
}
