#include "operations.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "device_slices.h"
#include "sums.h"

namespace kvo {
namespace {

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

// The most that a slice of a staged store has: what the device has just written is read sooner than of a large one.
// Measured: chunks of 32 MiB, 32 a call, 16 threads: 35 GB/s with 4 MiB, 39 with 2; loads 50 with 4, 48 with 2.
constexpr size_t kStagedStore = size_t{2} << 20;

size_t mostOfSlice(const Core& core, const Operation& op) {
  const bool staged_store = op.kind == Kind::kStore && op.device && !op.gds;
  return staged_store ? std::min(core.options.slice_bytes, kStagedStore) : core.options.slice_bytes;
}

}  // namespace

void planSlices(const Core& core, Operation& op) {
  const size_t largest = mostOfSlice(core, op);
  size_t slice = largest;
  // As many as are needed, and as equal as they can be: 10 MiB by 4 are three of 3.3, not two and a half.
  if (op.bytes > slice) slice = roundUp(blockCount(op.bytes, blockCount(op.bytes, slice)), kDirectUnit);
  if (op.sum_block > 0) {
    const size_t most = largest / op.sum_block * op.sum_block;
    slice = std::max<size_t>(std::min(roundUp(slice, op.sum_block), most), op.sum_block);
  }
  // Direct I/O can't begin a slice inside a unit.
  if (slice % kDirectUnit != 0) slice = std::max<size_t>(op.bytes, 1);
  op.slice_bytes = slice;
  op.slices = static_cast<uint32_t>(std::max<size_t>(blockCount(op.bytes, slice), 1));
  op.slices_left.store(op.slices, std::memory_order_release);
}

void Batch::expandBlocks(Operation& op) const {
  if (op.first_blocks == op.last_blocks) return;
  const auto first = blocks.begin() + op.first_blocks;
  const auto last = blocks.begin() + op.last_blocks;
  size_t count = 0;
  for (auto at = first; at != last; ++at) count += std::max<size_t>(at->count, 1);
  op.own_spans = std::make_unique<Span[]>(count);
  op.own_count = count;
  op.block_bytes = first->bytes;
  Span* span = op.own_spans.get();
  for (auto at = first; at != last; ++at) {
    if (at->bytes != op.block_bytes) op.block_bytes = 0;
    if (at->count == 0) *span++ = {at->base, at->bytes};
    for (uint32_t block = 0; block < at->count; ++block) *span++ = {at->base + offsets[at->first + block], at->bytes};
  }
}

Answer answerOfFailure(const Operation& op) {
  const uint64_t failure = op.failure.load(std::memory_order_acquire);
  return {static_cast<Outcome>(failure >> 40), static_cast<int64_t>(failure & 0xffffffff), 0, Via::kNothing,
          static_cast<Step>((failure >> 32) & 0xff)};
}

void countMoved(Stats& stats, const Operation& op) {
  const bool load = op.kind == Kind::kLoad;
  Stat stat = load ? Stat::kLoadBytesBuffered : Stat::kStoreBytesBuffered;
  if (op.gds) stat = load ? Stat::kLoadBytesGds : Stat::kStoreBytesGds;
  else if (op.device) stat = load ? Stat::kLoadBytesStaged : Stat::kStoreBytesStaged;
  else if (op.direct) stat = load ? Stat::kLoadBytesDirect : Stat::kStoreBytesDirect;
  stats.add(stat, op.bytes);
}

namespace {

Answer finishLoad(Context& context, Operation& op, char* header) {
  Answer answer = {Outcome::kDone, 0, op.bytes, viaOf(op), Step::kNone, op.header_end};
  std::shared_ptr<OpenFile> file = std::move(op.file);
  if (op.failed()) answer = answerOfFailure(op);
  else countMoved(context.core.stats, op);
  if (answer.outcome == Outcome::kFailed && answer.code == ENODATA) {
    // The file ended before its size said: cut short while we read.
    FileInfo info;
    (void)context.io.fstat(file->fd, info);
    if (info.bytes < kHeaderBytes) std::memset(header, 0, kHeaderBytes);
    answer = {Outcome::kSizeMismatch, 0, info.bytes, Via::kNothing, Step::kVerify};
  }
  context.io.letGo(file);
  return answer;
}

}  // namespace

void finish(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  context.worker.phase = Phase::kWhole;
  context.core.answer(
      batch, index,
      op.kind == Kind::kStore ? finishStore(context, *batch, index) : finishLoad(context, op, batch->header(index)));
}

void settleSlice(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  if (batch->operations[index].slices_left.fetch_sub(1, std::memory_order_acq_rel) == 1) finish(context, batch, index);
}

namespace {

// True where the slice is on its way, and settles later.
bool moveSlice(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch->operations[index];
  const bool store = op.kind == Kind::kStore;
  Status status;
  if (op.gds) {
    status = store ? storeGds(context, *batch, index, slice) : loadGds(context, *batch, index, slice);
  } else if (op.device) {
    if (store) stageStore(context, batch, index, slice);
    else status = stageLoad(context, batch, index, slice);
    if (status.ok()) return true;
  } else {
    status = store ? storeSlice(context, *batch, index, slice) : loadSlice(context, *batch, index, slice);
  }
  if (!status.ok()) op.fail(Outcome::kFailed, status);
  return false;
}

// Moves a claimed slice. True: it was the last one to be accounted for, and its operation has finished.
bool takeSlice(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice, Status room) {
  Operation& op = batch->operations[index];
  Worker& worker = context.worker;
  worker.phase = Phase::kSlice;
  if (context.core.dropped(*batch)) op.fail(Outcome::kAborted, {});
  if (!room.ok()) op.fail(Outcome::kFailed, room);
  const bool on_its_way = !op.failed() && moveSlice(context, batch, index, slice);
  worker.phase = Phase::kBetween;
  if (on_its_way || op.slices_left.fetch_sub(1, std::memory_order_acq_rel) > 1) return false;
  worker.slicing = Worker::kNothing;
  finish(context, batch, index);
  return true;
}

// A slice that is claimed already: it must be accounted for, here or by the watchdog. So what is in the way settles
// first, while the task is anyone's.
void moveOneSlice(Context& context, const Task& task) {
  if (!context.lane->idle()) {
    context.core.queue.push(task);
    settleStaged(context);
    return;
  }
  context.worker.operation = task.first;
  context.worker.phase = Phase::kSlice;
  const Status room = context.core.wedged() ? Status::fail(Step::kNone, ETIMEDOUT)
                                            : makeRoom(context, task.batch->operations[task.first]);
  (void)takeSlice(context, task.batch, task.first, task.slice, room);
}

// Claims and moves slices until there are none, or until a read should go before a store's next slice.
void moveSlices(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  const bool store = op.kind == Kind::kStore;
  Worker& worker = context.worker;
  worker.operation = index;
  worker.slicing = index;
  for (;;) {
    worker.phase = Phase::kBetween;
    if (op.next_slice.load(std::memory_order_acquire) >= op.slices) break;
    const Status room = op.device ? makeRoom(context, op) : Status{};
    const uint32_t slice = op.next_slice.fetch_add(1, std::memory_order_acq_rel);
    if (slice >= op.slices) break;
    if (takeSlice(context, batch, index, slice, room)) return;
    if (store && slice + 1 < op.slices && context.core.queue.readsWaiting()) {
      context.core.queue.push({batch, index, index + 1, Task::Kind::kHelp, QueueLane::kWrite});
      break;
    }
  }
  worker.slicing = Worker::kNothing;
}

// Buffered writes to one file take turns in the kernel (the inode's lock), and threads that wait for theirs spin. Measured
// on ext4 with 16 threads, calls of 8 chunks of 32 MiB: 20.3 GB/s at 0.56 CPU s/GiB with help, 22.2 at 0.30 without.
bool gainsByHelp(const Operation& op) { return op.kind == Kind::kLoad || op.direct || op.gds; }

void runWhole(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index) {
  Operation& op = batch->operations[index];
  context.worker.operation = index;
  context.worker.phase = Phase::kWhole;
  Answer answer;
  if (context.core.dropped(*batch)) answer.outcome = Outcome::kAborted;
  else if (context.core.wedged()) answer = failed(Status::fail(Step::kNone, ETIMEDOUT));
  else if (op.kind == Kind::kExists) answer = checkExists(context, *batch, index);
  else if (op.kind == Kind::kProbe) answer = probeDirectory(context, *batch, index);
  else if (op.kind == Kind::kProbeGds) answer = probeGds(context, *batch, index);
  else if (op.device && context.lane == nullptr) answer = failed(Status::fail(Step::kDevice, kNoDevice));
  else if (batch->expandBlocks(op); op.kind == Kind::kLoad ? beginLoad(context, *batch, index, answer)
                                                           : beginStore(context, *batch, index, answer)) {
    planSlices(context.core, op);
    if (op.slices > 1 && context.core.options.threads > 1 && gainsByHelp(op)) {
      const QueueLane lane = op.kind == Kind::kStore ? QueueLane::kWrite : QueueLane::kRead;
      context.core.queue.offer({batch, index, index + 1, Task::Kind::kHelp, lane});
    }
    moveSlices(context, batch, index);
    return;
  }
  context.core.answer(batch, index, answer);
}

}  // namespace

void runTask(Context& context, Task& task) {
  Worker& worker = context.worker;
  worker.batch = task.batch;
  worker.task = task.batch;
  worker.next = task.last;
  worker.last = task.last;
  switch (task.kind) {
    case Task::Kind::kRange:
      for (uint32_t index = task.first; index < task.last; ++index) {
        worker.next = index + 1;
        runWhole(context, task.batch, index);
      }
      break;
    case Task::Kind::kHelp: moveSlices(context, task.batch, task.first); break;
    case Task::Kind::kSlice: moveOneSlice(context, task); break;
    case Task::Kind::kFinish:
      worker.operation = task.first;
      finish(context, task.batch, task.first);
      break;
  }
  worker.phase = Phase::kBetween;
  worker.task.reset();
  worker.batch.reset();
}

}  // namespace kvo
