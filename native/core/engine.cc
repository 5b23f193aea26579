#include "engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "device_slices.h"
#include "operations.h"
#include "publish.h"

namespace kvo {
namespace {

// Operations of a batch are queued in ranges: a large chunk by itself, small ones packed, so that a range is worth
// the trip through the queue and there are still ranges for every thread.
constexpr size_t kMostPacked = 32;

void queueRanges(Core& core, const std::shared_ptr<Batch>& batch) {
  const size_t fair = batch->count / (static_cast<size_t>(core.options.threads) * 2);
  const size_t most = std::clamp<size_t>(fair, 1, kMostPacked);
  std::vector<Task> tasks;
  for (size_t first = 0; first < batch->count;) {
    const QueueLane lane = batch->operations[first].kind == Kind::kStore ? QueueLane::kWrite : QueueLane::kRead;
    size_t bytes = 0;
    size_t last = first;
    while (last < batch->count && last - first < most) {
      const Operation& op = batch->operations[last];
      const QueueLane other = op.kind == Kind::kStore ? QueueLane::kWrite : QueueLane::kRead;
      if (last > first && (other != lane || bytes + op.bytes > core.options.slice_bytes)) break;
      bytes += op.bytes;
      ++last;
    }
    tasks.push_back({batch, static_cast<uint32_t>(first), static_cast<uint32_t>(last), Task::Kind::kRange, lane});
    first = last;
  }
  core.queue.push(tasks);
}

void startLane(Context& context) {
  // Held here, since close lets go of them while threads hang in calls.
  const std::shared_ptr<Device> device = context.core.options.device;
  const std::shared_ptr<Gds> gds = context.core.options.gds;
  const std::shared_ptr<StageMemory> stages = context.core.stages;
  if (device == nullptr) return;
  device->stayNear();
  context.worker.lane = context.io.device("start of CUDA", [&] { return std::make_shared<Lane>(device, gds, stages); });
  context.lane = context.worker.lane.get();
  (void)context.io.device("cuModuleLoadData", [&] { return device->mover(); });
  // Where every byte will be staged: not at the first chunk's expense. What fails is said when it is needed.
  if (gds == nullptr) (void)context.lane->reserve(context.io, context.core.options.slice_bytes);
}

bool isStaged(const Task& task) {
  const Operation& op = task.batch->operations[task.first];
  return op.device && !op.gds;
}

// The next task, or false at the end. Nothing stays in the stages while the thread waits, or does other things.
bool nextTask(Context& context, Task& task) {
  if (context.lane == nullptr || context.lane->idle()) return context.core.queue.pop(task);
  if (context.core.queue.tryPop(task)) {
    if (!isStaged(task)) settleStaged(context);
    return true;
  }
  settleStaged(context);
  return context.core.queue.pop(task);
}

// False when the thread was given up on: the engine may be gone then.
bool runWorker(const std::shared_ptr<Core>& core, const std::shared_ptr<Worker>& worker) {
  Io io(core->files, *worker, core->stats);
  Bounce bounce;
  Context context{*core, io, *worker, bounce, nullptr};
  Task task;
  try {
    startLane(context);
    while (nextTask(context, task)) {
      runTask(context, task);
      task = {};
    }
    // Here, where a close that hangs is watched. What others still put there they clear themselves.
    core->cache.clear(io);
    return true;
  } catch (const Abandoned&) {
    // The watchdog has accounted for the work and started another thread.
    core->hung.fetch_sub(1, std::memory_order_relaxed);
    worker->call.store(Worker::kGone, std::memory_order_release);
    return false;
  }
}

}  // namespace

namespace {

// At most half of what the process may have open: the rest is for files being written, and for everyone else.
size_t openFilesAllowed(size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  return std::min<size_t>(wanted, limit.rlim_cur / 2);
}

}  // namespace

Core::Core(const EngineOptions& options, std::shared_ptr<Files> files,
           std::function<void(std::shared_ptr<Batch>)> settled)
    : options(options),
      files(std::move(files)),
      settled(std::move(settled)),
      temporary_prefix(temporaryPrefix()),
      stages(options.device == nullptr ? nullptr
                                       : std::make_shared<StageMemory>(options.device, options.gds, options.slice_bytes,
                                                                       static_cast<size_t>(options.threads) * 2)),
      cache(openFilesAllowed(options.open_files), options.kept_open) {}

void Core::answer(const std::shared_ptr<Batch>& batch, uint32_t operation, const Answer& answer) {
  switch (answer.outcome) {
    case Outcome::kFailed: stats.add(Stat::kFailures); break;
    case Outcome::kAborted: stats.add(Stat::kAborted); break;
    case Outcome::kStuck: stats.add(Stat::kStuck); break;
    default: break;
  }
  batch->answers[operation] = answer;
  if (batch->pending.fetch_sub(1, std::memory_order_acq_rel) == 1) settled(batch);
}

void Core::queueBatch(const std::shared_ptr<Batch>& batch) { queueRanges(*this, batch); }

void Core::answerAll(const std::shared_ptr<Batch>& batch, const Answer& answered) {
  for (uint32_t index = 0; index < batch->count; ++index) answer(batch, index, answered);
}

std::function<void()> Core::hold(const std::shared_ptr<Core>& self, const std::shared_ptr<Batch>& batch) {
  {
    const std::lock_guard lock(held_mutex_);
    held_.push_back(batch);
  }
  return [self, batch] {
    {
      const std::lock_guard lock(self->held_mutex_);
      if (std::erase(self->held_, batch) == 0) return;
      // Still locked: a close that follows finds it queued.
      if (!self->closing.load(std::memory_order_acquire)) {
        self->queueBatch(batch);
        return;
      }
    }
    self->answerAll(batch, {Outcome::kAborted});
  };
}

std::vector<std::shared_ptr<Batch>> Core::takeHeld(const Batch* batch) {
  std::vector<std::shared_ptr<Batch>> taken;
  const std::lock_guard lock(held_mutex_);
  for (const auto& held : held_) {
    if (batch == nullptr || held.get() == batch) taken.push_back(held);
  }
  std::erase_if(held_, [&](const auto& held) { return batch == nullptr || held.get() == batch; });
  return taken;
}

Engine::Engine(const EngineOptions& options, std::shared_ptr<Files> files,
               std::function<void(std::shared_ptr<Batch>)> settled)
    : core_(std::make_shared<Core>(options, std::move(files), std::move(settled))) {
  try {
    for (int thread = 0; thread < options.threads; ++thread) startWorker();
    watchdog_ = std::thread([this] { watch(); });
  } catch (...) {  // the system has no more threads
    core_->queue.stop();
    for (Running& running : workers_) running.thread.join();
    throw;
  }
}

Engine::~Engine() {
  close({});
  join();
}

void Engine::startWorker() {
  auto worker = std::make_shared<Worker>();
  std::thread thread([core = core_, worker, this] {
    if (!runWorker(core, worker)) return;
    const std::lock_guard lock(mutex_);
    worker->call.store(Worker::kGone, std::memory_order_release);
    changed_.notify_all();
  });
  workers_.push_back({std::move(worker), std::move(thread)});
}

bool Engine::submit(const std::shared_ptr<Batch>& batch) {
  const std::lock_guard lock(mutex_);
  if (closing_) return false;
  batch->pending.store(batch->count, std::memory_order_release);
  core_->queueBatch(batch);
  return true;
}

std::function<void()> Engine::submitLater(const std::shared_ptr<Batch>& batch) {
  const std::lock_guard lock(mutex_);
  if (closing_) return nullptr;
  batch->pending.store(batch->count, std::memory_order_release);
  return core_->hold(core_, batch);
}

void Engine::abort(const std::shared_ptr<Batch>& batch) {
  batch->aborted.store(true, std::memory_order_release);
  for (const auto& held : core_->takeHeld(batch.get())) core_->answerAll(held, {Outcome::kAborted});
  for (const Task& task : core_->queue.takeRanges(batch.get())) {
    for (uint32_t index = task.first; index < task.last; ++index) core_->answer(batch, index, {Outcome::kAborted});
  }
}

void Engine::close(Closed closed) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    closed_ = std::move(closed);
  }
  core_->closing.store(true, std::memory_order_release);
  for (const auto& held : core_->takeHeld(nullptr)) core_->answerAll(held, {Outcome::kAborted});
  for (const Task& task : core_->queue.takeRanges(nullptr)) {
    for (uint32_t index = task.first; index < task.last; ++index) core_->answer(task.batch, index, {Outcome::kAborted});
  }
  core_->queue.stop();
  changed_.notify_all();
}

void Engine::join() {
  if (watchdog_.joinable()) watchdog_.join();
}

std::vector<std::string> Engine::stuck() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> what;
  for (const Stuck& one : stuck_) {
    if (one.worker->call.load(std::memory_order_acquire) == Worker::kAbandoned) what.push_back(one.what);
  }
  return what;
}

// Looks every now and then for threads that are in one system call for too long. Ends when all threads have left.
void Engine::watch() {
  const auto period = std::clamp<std::chrono::nanoseconds>(core_->options.timeout / 8, std::chrono::milliseconds(5),
                                                           std::chrono::seconds(1));
  size_t missing = 0;
  int64_t looked = coarseNow();
  int64_t since = looked;
  std::unique_lock lock(mutex_);
  for (;;) {
    // Who comes late himself was stopped with the whole process, or starved: calls get their time anew.
    const int64_t now = coarseNow();
    if (now - looked > (period * 2 + std::chrono::seconds(1)).count()) since = now;
    looked = now;
    std::vector<std::shared_ptr<Worker>> hanging;
    for (auto running = workers_.begin(); running != workers_.end();) {
      if (running->worker->call.load(std::memory_order_acquire) == Worker::kGone) {
        running->thread.join();
      } else if (overdue(*running->worker, now, since)) {
        running->thread.detach();
        hanging.push_back(running->worker);
      } else {
        ++running;
        continue;
      }
      running = workers_.erase(running);
    }
    if (!hanging.empty()) {
      lock.unlock();  // since it may settle a batch
      for (const auto& worker : hanging) giveUp(worker);
      lock.lock();
      missing += hanging.size();
    }
    // Only now: a thread that finds the queue empty while the engine closes leaves at once.
    try {
      for (; missing > 0; --missing) startWorker();
    } catch (const std::system_error&) {  // no thread to be had now: again next time
    }
    if (workers_.empty() && missing == 0) break;
    if (hanging.empty()) changed_.wait_for(lock, period);
  }
  // The engine may stay for its counters. What threads that hang still hold stays too.
  core_->stages.reset();
  if (stuck_.empty()) {
    core_->options.device.reset();
    core_->options.gds.reset();
  }
  const Closed closed = std::move(closed_);
  lock.unlock();
  if (closed) closed();
}

// True once, for a thread that is in a call for too long: it is then the watchdog's to account for.
bool Engine::overdue(Worker& worker, int64_t now, int64_t since) const {
  int64_t call = worker.call.load(std::memory_order_acquire);
  const std::chrono::nanoseconds timeout = core_->options.timeout;
  return call > 0 && now - std::max(call, since) > timeout.count() &&
         worker.call.compare_exchange_strong(call, Worker::kAbandoned, std::memory_order_acq_rel);
}

// Slices on their way when a thread was given up on, which no longer sends or writes them. Another thread does, unless
// the device may still copy them: their memory is then nobody's any more.
void Engine::giveUpStaged(Worker& worker) {
  if (worker.lane == nullptr) return;
  // A call of cuFile's has nothing to do with the stages; one of CUDA's may be what sends them.
  const bool in_cuda = worker.in_driver && std::string_view(worker.call_name).rfind("cuFile", 0) != 0;
  for (size_t index = 0; index < 2; ++index) {
    Stage& stage = worker.lane->stage(index);
    const bool sent = stage.state == Stage::State::kInFlight;
    const bool settled = !in_cuda && (!sent || worker.lane->settledSoon(stage));
    while (!stage.slices.empty()) {
      const StagedSlice staged = std::move(stage.slices.back());
      stage.slices.pop_back();
      Operation& op = staged.batch->operations[staged.operation];
      if (!settled) {
        staged.batch->stuck.store(true, std::memory_order_release);
        op.failStuck(Status::fail(Step::kNone, ETIMEDOUT));
      } else if (!sent || stage.direction == Direction::kWrite) {
        // Its bytes are still where they came from: another thread begins it anew.
        const QueueLane lane = op.kind == Kind::kStore ? QueueLane::kWrite : QueueLane::kRead;
        core_->queue.push(
            {staged.batch, staged.operation, staged.operation + 1, Task::Kind::kSlice, lane, staged.slice});
        continue;
      }
      handOn(staged.batch, staged.operation);
    }
  }
}

// Accounts for a slice that its thread no longer will.
void Engine::handOn(const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  const QueueLane lane = op.kind == Kind::kStore ? QueueLane::kWrite : QueueLane::kRead;
  // With slices left that nobody may have been offered, someone must account for them.
  const bool last = op.slices_left.fetch_sub(1, std::memory_order_acq_rel) == 1;
  core_->queue.push({batch, index, index + 1, last ? Task::Kind::kFinish : Task::Kind::kHelp, lane});
}

// Answers for what the thread hangs in, and hands on the rest of what it had taken on.
void Engine::giveUp(const std::shared_ptr<Worker>& worker) {
  core_->hung.fetch_add(1, std::memory_order_relaxed);
  const std::shared_ptr<Batch> batch = std::move(worker->batch);
  const std::shared_ptr<Batch> task = std::move(worker->task);
  const uint32_t index = worker->operation;
  std::string what = "files kept open";
  if (batch != nullptr) what = batch->operations[index].path;
  else if (worker->in_driver) what = "device memory";
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(stuck_, [](const Stuck& one) { return one.worker->call.load() == Worker::kGone; });
    stuck_.push_back({worker, std::string(worker->call_name) + " of " + what + " after " +
                                  std::to_string(core_->options.timeout.count()) + " ms"});
  }
  giveUpStaged(*worker);
  if (task != nullptr) {
    const auto push = [&](uint32_t first, uint32_t last, Task::Kind kind) {
      const bool write = task->operations[first].kind == Kind::kStore;
      core_->queue.push({task, first, last, kind, write ? QueueLane::kWrite : QueueLane::kRead});
    };
    if (worker->next < worker->last) push(worker->next, worker->last, Task::Kind::kRange);
    if (worker->slicing != Worker::kNothing) push(worker->slicing, worker->slicing + 1, Task::Kind::kHelp);
  }
  if (batch == nullptr || worker->phase == Phase::kBetween) return;

  Operation& op = batch->operations[index];
  batch->stuck.store(true, std::memory_order_release);
  core_->cache.distrust(op.path);
  if (worker->phase == Phase::kWhole) {
    core_->answer(batch, index, {Outcome::kStuck, ETIMEDOUT});
    return;
  }
  op.failStuck(Status::fail(Step::kNone, ETIMEDOUT));
  handOn(batch, index);
}

}  // namespace kvo
