#include "device_slices.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "operations.h"
#include "publish.h"
#include "sums.h"
#include "transfer.h"

namespace kvo {
namespace {

constexpr int kDriverNotOpen = 5001;
// Stores are sent from so many bytes on: 20 µs of the bus, where a copy takes 5 beside its bytes.
constexpr size_t kWorthACopy = size_t{1} << 20;

struct Part {
  size_t from;
  size_t length;
};

Part partOf(const Operation& op, uint32_t slice) {
  const size_t from = size_t{slice} * op.slice_bytes;
  return {from, std::min(op.slice_bytes, op.bytes - from)};
}

// Sums of a slice whose bytes lie at `at`, while they are in the processor's cache.
// NOLINTNEXTLINE(readability-non-const-parameter): spans are not const
void sumStaged(Batch& batch, const Operation& op, Part part, char* at) {
  if (op.sum_block == 0) return;
  for (size_t offset = 0; offset < part.length; offset += op.sum_block) {
    const Span block = {at + offset, std::min<size_t>(op.sum_block, part.length - offset)};
    batch.sums[op.first_sum + (part.from + offset) / op.sum_block] =
        sumOf(SpanCursor(&block, &block + 1, 0, block.bytes));
  }
}

Status gdsFailure(Direction direction, ssize_t result) {
  return Status::fail(direction == Direction::kRead ? Step::kGdsRead : Step::kGdsWrite, static_cast<int>(-result));
}

// Every byte of the segments, or a failure: a short count is continued while it moves anything.
Status moveGds(Context& context, Direction direction, const GdsFile& file, SpanCursor segments, off_t offset) {
  while (segments.left() > 0) {
    const Span segment = segments.piece(SIZE_MAX);
    const auto address = reinterpret_cast<CudaAddress>(segment.data);
    const bool load = direction == Direction::kRead;
    const ssize_t moved = context.io.device(load ? "cuFileRead" : "cuFileWrite", [&] {
      return load ? file.gds().read(file.handle(), address, segment.bytes, offset)
                  : file.gds().write(file.handle(), address, segment.bytes, offset);
    });
    if (moved < 0) return gdsFailure(direction, moved);
    if (moved == 0) return gdsFailure(direction, direction == Direction::kRead ? -ENODATA : -EIO);
    segments.advance(static_cast<size_t>(moved));
    offset += moved;
  }
  return {};
}

// Segments too small for a call each go through device staging, where they are one run of bytes.
Status moveSmall(Context& context, Direction direction, const GdsFile& file, SpanCursor segments, off_t offset) {
  CudaAddress staged = 0;
  const size_t bytes = segments.left();
  Status status = context.lane->staging(context.io, bytes, staged);
  if (status.ok() && direction == Direction::kWrite) status = context.lane->scatter(context.io, segments, direction);
  const Span run = {reinterpret_cast<char*>(staged), bytes};
  if (status.ok()) {
    status = moveGds(context, direction, file, SpanCursor(&run, &run + 1, 0, bytes), offset);
  }
  if (status.ok() && direction == Direction::kRead) status = context.lane->scatter(context.io, segments, direction);
  return status;
}

Status sliceGds(Context& context, Direction direction, Batch& batch, const Operation& op, Part part) {
  const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
  const SpanCursor segments = batch.cursor(op, part.from, part.length);
  const auto offset = static_cast<off_t>(kHeaderBytes + part.from);
  // Without the kernel, a call for each segment.
  if (op.small && context.core.options.device->mover() != nullptr)
    return moveSmall(context, direction, *file->gds, segments, offset);
  return moveGds(context, direction, *file->gds, segments, offset);
}

// cuFile's bytes never pass through host memory, so that sums cost a copy of their own.
Status sumGds(Context& context, Batch& batch, const Operation& op, Part part) {
  if (op.sum_block == 0) return {};
  char* at = nullptr;
  const Status status = context.lane->bring(context.io, batch.cursor(op, part.from, part.length), at);
  if (status.ok()) sumStaged(batch, op, part, at);
  return status;
}

// Waits for a stage's copies, and does for each of its slices what is left to do. The thread's own operation stands
// aside meanwhile.
void settleStage(Context& context, Stage& stage) {
  if (stage.state == Stage::State::kEmpty) return;
  Worker& worker = context.worker;
  const std::shared_ptr<Batch> batch = std::move(worker.batch);
  const uint32_t operation = worker.operation;
  const Phase phase = worker.phase;
  worker.batch.reset();
  context.lane->launch(context.io, stage);
  const Status copied = context.lane->wait(context.io, stage);
  // In their order: of stores that are dropped in the midst, the prompt's beginning is worth most.
  std::reverse(stage.slices.begin(), stage.slices.end());
  while (!stage.slices.empty()) {
    // Taken out before it is worked on: what is left there is the watchdog's to account for.
    const StagedSlice staged = std::move(stage.slices.back());
    stage.slices.pop_back();
    Operation& op = staged.batch->operations[staged.operation];
    worker.batch = staged.batch;
    worker.operation = staged.operation;
    worker.phase = Phase::kSlice;
    Status status = copied;
    if (stage.direction == Direction::kWrite && context.core.dropped(*staged.batch)) op.fail(Outcome::kAborted, {});
    if (status.ok() && stage.direction == Direction::kWrite && !op.failed()) {
      const Part part = partOf(op, staged.slice);
      sumStaged(*staged.batch, op, part, staged.at);
      const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
      const Span span = {staged.at, part.length};
      status = transfer(context, Direction::kWrite, file->fd, op.direct, SpanCursor(&span, &span + 1, 0, part.length),
                        static_cast<off_t>(kHeaderBytes + part.from));
    }
    if (!status.ok()) op.fail(Outcome::kFailed, status);
    settleSlice(context, staged.batch, staged.operation);
  }
  context.lane->reset(stage);
  worker.batch = batch;
  worker.operation = operation;
  worker.phase = phase;
}

}  // namespace

Status attachGds(Context& context, Operation& op) {
  OpenFile& file = *op.file;
  if (context.core.options.gds == nullptr) return Status::fail(Step::kRegisterFile, kDriverNotOpen);
  context.io.device("cuFileHandleRegister", [&] {
    std::call_once(file.registered, [&] {
      // Opened so that a FIFO does not hang; cuFile refuses such a descriptor.
      const int flags = fcntl(file.fd, F_GETFL);
      if (flags >= 0 && (flags & O_NONBLOCK) != 0) (void)fcntl(file.fd, F_SETFL, flags & ~O_NONBLOCK);
      const std::shared_ptr<Gds>& gds = context.core.options.gds;
      if (const CuFileHandle handle = gds->registerFile(file.fd, file.gds_refused); handle != nullptr) {
        file.gds = std::make_unique<GdsFile>(gds, handle);
      }
    });
    return 0;
  });
  if (file.gds != nullptr) return {};
  context.core.stats.add(Stat::kGdsRefused);
  if (context.core.options.require_gds) return Status::fail(Step::kRegisterFile, file.gds_refused);
  op.gds = false;
  return {};
}

Status loadGds(Context& context, Batch& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch.operations[index];
  const Part part = partOf(op, slice);
  const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
  if (slice == 0) {
    const Status status = readWithHeader(context, file->fd, file->direct, batch.header(index), batch.cursor(op, 0, 0));
    if (!status.ok()) return status;
    op.header_end = headerEnd(batch.header(index));
  }
  const Status status = sliceGds(context, Direction::kRead, batch, op, part);
  return status.ok() ? sumGds(context, batch, op, part) : status;
}

Status storeGds(Context& context, Batch& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch.operations[index];
  const Part part = partOf(op, slice);
  const Status status = sumGds(context, batch, op, part);
  return status.ok() ? sliceGds(context, Direction::kWrite, batch, op, part) : status;
}

Status makeRoom(Context& context, const Operation& op) {
  Lane& lane = *context.lane;
  if (!lane.status().ok()) return lane.status();
  if (op.gds) {
    if (op.small || op.sum_block > 0) settleStaged(context);
    return {};
  }
  const Direction direction = op.kind == Kind::kStore ? Direction::kWrite : Direction::kRead;
  const size_t length = std::min(op.slice_bytes, op.bytes);
  if (lane.hasRoom(length, direction)) return {};
  if (length > lane.capacity()) {
    settleStaged(context);
    return lane.reserve(context.io, length);
  }
  lane.launch(context.io, lane.filling());
  settleStage(context, lane.other());
  lane.swap();
  return {};
}

Status stageLoad(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch->operations[index];
  const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
  const Part part = partOf(op, slice);
  Lane& lane = *context.lane;
  lane.filling().direction = Direction::kRead;
  char* const at = lane.take(part.length);
  const Span span = {at, part.length};
  const SpanCursor cursor(&span, &span + 1, 0, part.length);
  const Status status = slice == 0 ? readWithHeader(context, file->fd, file->direct, batch->header(index), cursor)
                                   : transfer(context, Direction::kRead, file->fd, file->direct, cursor,
                                              static_cast<off_t>(kHeaderBytes + part.from));
  if (!status.ok()) return status;
  if (slice == 0) op.header_end = headerEnd(batch->header(index));
  sumStaged(*batch, op, part, at);
  lane.add(context.io, {batch, index, slice, at}, batch->cursor(op, part.from, part.length));
  // A stage that is as good as full is sent at once, to be copied while the next one is filled; a thread's first one as
  // soon as it is worth a copy's own cost, since the link has nothing to do until then.
  const bool first = lane.other().state == Stage::State::kEmpty && lane.filling().used >= kWorthACopy;
  if (first || !lane.hasRoom(kDirectUnit, Direction::kRead)) lane.launch(context.io, lane.filling());
  return {};
}

void stageStore(Context& context, const std::shared_ptr<Batch>& batch, uint32_t index, uint32_t slice) {
  const Operation& op = batch->operations[index];
  const Part part = partOf(op, slice);
  Lane& lane = *context.lane;
  lane.filling().direction = Direction::kWrite;
  char* const at = lane.take(part.length);
  lane.add(context.io, {batch, index, slice, at}, batch->cursor(op, part.from, part.length));
  // A thread's first is sent at once, to be here when the next one's file is made; then again as soon as it is worth a
  // copy's own cost. Chunks that a thread collects are written one after the other, while others may have none.
  const bool first = lane.other().state == Stage::State::kEmpty;
  if (first || lane.filling().used >= kWorthACopy) lane.launch(context.io, lane.filling());
}

void settleStaged(Context& context) {
  if (context.lane == nullptr) return;
  context.lane->launch(context.io, context.lane->filling());
  // The older one first.
  settleStage(context, context.lane->other());
  settleStage(context, context.lane->filling());
}

Answer probeGds(Context& context, Batch& batch, uint32_t index) {
  constexpr size_t kBytes = size_t{1} << 20;
  enum Found : uint64_t { kReadDirect = 1, kReadPosix = 2, kWroteDirect = 4, kWrotePosix = 8, kCounted = 16 };
  const std::shared_ptr<Gds>& gds = context.core.options.gds;
  const auto answer = [](Status status, uint64_t found) {
    return Answer{Outcome::kDone, status.error, found, Via::kNothing, status.step};
  };
  if (gds == nullptr || context.lane == nullptr) return answer(Status::fail(Step::kRegisterFile, 5001), 0);

  const std::string path = batch.operations[index].path;
  FileInfo info;
  if (const int error = context.io.stat(path.c_str(), info); error != 0) {
    return answer(Status::fail(Step::kStat, -error), 0);
  }
  // A file that is there is only read: a mount may be read-only.
  std::string name;
  int fd = -EINVAL;
  bool direct = true;
  const auto open = [&](const char* free) {
    const int flags = info.regular ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    return context.io.open(free, flags | (direct ? O_DIRECT : 0), 0666);
  };
  for (; fd == -EINVAL && (direct || name.empty()); direct = false) {
    if (!name.empty()) (void)context.io.unlink(name.c_str());
    fd = info.regular ? open(path.c_str()) : makeTemporary(context.core, path, name, open);
    if (fd >= 0) break;
  }
  if (fd < 0) return answer(Status::fail(Step::kCreate, -fd), 0);
  OpenFile file(context.io.files(), fd, direct);
  Temporary temporary(context.io, info.regular ? std::string() : std::move(name));
  const auto attempt = [&](uint64_t& found) -> Status {
    int code = 0;
    const CuFileHandle handle = context.io.device("cuFileHandleRegister", [&] { return gds->registerFile(fd, code); });
    if (handle == nullptr) return Status::fail(Step::kRegisterFile, code);
    file.gds = std::make_unique<GdsFile>(gds, handle);
    CudaAddress staged = 0;
    if (const Status made = context.lane->staging(context.io, kBytes, staged); !made.ok()) return made;
    GdsCounters before;
    GdsCounters written;
    GdsCounters read;
    const bool counted = gds->counters(before);
    const size_t bytes = info.regular ? std::min<size_t>(kBytes, info.bytes / kDirectUnit * kDirectUnit) : kBytes;
    const Span run = {reinterpret_cast<char*>(staged), bytes};
    const SpanCursor cursor(&run, &run + 1, 0, bytes);
    Status status;
    if (!info.regular) status = moveGds(context, Direction::kWrite, *file.gds, cursor, 0);
    (void)gds->counters(written);
    if (status.ok()) status = moveGds(context, Direction::kRead, *file.gds, cursor, 0);
    (void)gds->counters(read);
    if (counted) {
      found = kCounted;
      if (read.read > before.read) found |= read.read_posix > before.read_posix ? kReadPosix : kReadDirect;
      if (written.written > before.written) {
        found |= written.written_posix > before.written_posix ? kWrotePosix : kWroteDirect;
      }
    }
    return status;
  };
  uint64_t found = 0;
  const Status status = attempt(found);
  (void)context.io.close(file.release());
  if (!info.regular) temporary.remove();
  return answer(status, found);
}

}  // namespace kvo
