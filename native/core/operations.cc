#include "operations.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sums.h"

namespace kvo {

void planSlices(const Core& core, Operation& op) {
  size_t slice = core.options.slice_bytes;
  if (op.sum_block > 0) slice = std::max<size_t>(slice / op.sum_block, 1) * op.sum_block;
  // Direct I/O can't begin a slice inside a unit.
  if (slice % kDirectUnit != 0) slice = std::max<size_t>(op.bytes, 1);
  op.slice_bytes = slice;
  op.slices = static_cast<uint32_t>(std::max<size_t>(blockCount(op.bytes, slice), 1));
  op.slices_left.store(op.slices, std::memory_order_release);
}

Answer answerOfFailure(const Operation& op) {
  const uint64_t failure = op.failure.load(std::memory_order_acquire);
  return {static_cast<Outcome>(failure >> 40), static_cast<int64_t>(failure & 0xffffffff), 0, Via::kNothing,
          static_cast<Step>((failure >> 32) & 0xff)};
}

namespace {

Answer finishLoad(Context& context, Operation& op) {
  Answer answer = {Outcome::kDone, 0, op.bytes, op.direct ? Via::kDirect : Via::kBuffered, Step::kNone};
  std::shared_ptr<OpenFile> file = std::move(op.file);
  if (op.failed()) answer = answerOfFailure(op);
  else context.core.stats.add(op.direct ? Stat::kLoadBytesDirect : Stat::kLoadBytesBuffered, op.bytes);
  if (answer.outcome == Outcome::kFailed && answer.code == ENODATA) {
    // The file ended before its size said: cut short while we read.
    FileInfo info;
    (void)context.io.fstat(file->fd, info);
    answer = {Outcome::kSizeMismatch, 0, info.bytes, Via::kNothing, Step::kVerify};
  }
  context.io.letGo(file);
  return answer;
}

void finish(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  context.worker.phase = Phase::kWhole;
  context.core.answer(batch, index,
                      op.kind == Kind::kStore ? finishStore(context, *batch, index) : finishLoad(context, op));
}

// Claims and moves slices until there are none, or until a read should go before a store's next slice.
void moveSlices(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  const bool store = op.kind == Kind::kStore;
  context.worker.operation = index;
  for (;;) {
    const uint32_t slice = op.next_slice.fetch_add(1, std::memory_order_acq_rel);
    if (slice >= op.slices) return;
    if (context.core.dropped(*batch)) op.fail(Outcome::kAborted, {});
    if (!op.failed()) {
      context.worker.phase = Phase::kSlice;
      const Status status =
          store ? storeSlice(context, *batch, index, slice) : loadSlice(context, *batch, index, slice);
      if (!status.ok()) op.fail(Outcome::kFailed, status);
    }
    if (op.slices_left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      finish(context, batch, index);
      return;
    }
    if (store && slice + 1 < op.slices && context.core.queue.readsWaiting()) {
      context.core.queue.push({batch, index, index + 1, Task::Kind::kHelp, Lane::kWrite});
      return;
    }
  }
}

// Other threads may take slices of a large operation while this one does; without work they return at once.
void offerSlices(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  const Operation& op = batch->operations[index];
  const uint32_t others = static_cast<uint32_t>(std::max(context.core.options.threads - 1, 0));
  const Lane lane = op.kind == Kind::kStore ? Lane::kWrite : Lane::kRead;
  std::vector<Task> helpers(std::min(op.slices - 1, others), Task{batch, index, index + 1, Task::Kind::kHelp, lane});
  if (!helpers.empty()) context.core.queue.push(helpers);
}

void runWhole(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  context.worker.operation = index;
  context.worker.phase = Phase::kWhole;
  Answer answer;
  if (context.core.dropped(*batch)) answer.outcome = Outcome::kAborted;
  else if (context.core.wedged()) answer = failed(Status::fail(Step::kNone, ETIMEDOUT));
  else if (op.kind == Kind::kExists) answer = checkExists(context, *batch, index);
  else if (op.kind == Kind::kProbe) answer = probeDirectory(context, *batch, index);
  else if (op.kind == Kind::kLoad ? beginLoad(context, *batch, index, answer)
                                  : beginStore(context, *batch, index, answer)) {
    planSlices(context.core, op);
    if (op.slices > 1) offerSlices(context, batch, index);
    moveSlices(context, batch, index);
    return;
  }
  context.core.answer(batch, index, answer);
}

}  // namespace

void runTask(Context& context, Task& task) {
  context.worker.batch = task.batch;
  context.worker.last = task.last;
  switch (task.kind) {
    case Task::Kind::kRange:
      for (uint32_t index = task.first; index < task.last; ++index) runWhole(context, task.batch, index);
      break;
    case Task::Kind::kHelp: moveSlices(context, task.batch, task.first); break;
    case Task::Kind::kFinish:
      context.worker.operation = task.first;
      finish(context, task.batch, task.first);
      break;
  }
  context.worker.batch.reset();
}

}  // namespace kvo
