// Writing chunks: a temporary file beside the target, payload, header last, sizes verified, then published.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "device_slices.h"
#include "operations.h"
#include "publish.h"
#include "sums.h"
#include "transfer.h"

namespace kvo {
namespace {

// The two levels of directories below the base. The base itself is never made here: a cache whose mount has gone
// must fail, not fill the disk below the mount point.
int makeDirectories(Context& context, const std::string& directory) {
  int error = -context.io.mkdir(directory.c_str());
  if (error == ENOENT) {
    const int above = -context.io.mkdir(directoryOf(directory).c_str());
    if (above != 0 && above != EEXIST) return above;
    error = -context.io.mkdir(directory.c_str());
  }
  if (error == 0) context.core.stats.add(Stat::kDirectoriesMade);
  return error == EEXIST ? 0 : error;
}

Status createTemporary(Context& context, Operation& op) {
  const std::string directory = directoryOf(op.path);
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  // cuFile's direct path wants O_DIRECT.
  bool direct = context.core.options.direct || op.gds;
  bool made = false;
  bool cleared = false;
  for (;;) {
    const int fd = makeTemporary(context.core, directory, op.temporary, [&](const char* free) {
      return context.io.open(free, kFlags | (direct ? O_DIRECT : 0), 0666);
    });
    if (fd >= 0) {
      op.file = std::make_shared<OpenFile>(context.io.files(), fd, direct);
      op.direct = direct;
      return {};
    }
    if (fd == -EINVAL && direct) {
      // The filesystem made the file, then refused the flag.
      (void)context.io.unlink(op.temporary.c_str());
      context.core.stats.add(Stat::kDirectRefused);
      direct = false;
    } else if (fd == -ENOENT && !made) {
      if (const int error = makeDirectories(context, directory); error != 0) {
        return Status::fail(Step::kMakeDirectory, error);
      }
      made = true;
    } else if ((fd == -EMFILE || fd == -ENFILE) && !cleared) {
      context.core.cache.clear(context.io);
      cleared = true;
    } else {
      return Status::fail(Step::kCreate, -fd);
    }
  }
}

// What is under the chunk's name already, for the caller to judge: its header; its sidecar is mended where missing.
Answer answerExists(Context& context, Batch& batch, uint32_t index) {
  const Operation& op = batch.operations[index];
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  int fd = context.io.open(op.path, kFlags);
  if (fd == -EMFILE || fd == -ENFILE) {
    context.core.cache.clear(context.io);
    fd = context.io.open(op.path, kFlags);
  }
  if (fd < 0) return failed(Status::fail(Step::kOpen, -fd));
  OpenFile file(context.io.files(), fd, false);
  FileInfo info;
  const int measured = -context.io.fstat(fd, info);
  std::memset(batch.header(index), 0, kHeaderBytes);
  const Status status = readWithHeader(context, fd, false, batch.header(index), batch.cursor(op, 0, 0));
  (void)context.io.close(file.release());
  if (measured != 0) return failed(Status::fail(Step::kStat, measured));
  if (!info.regular) return failed(Status::fail(Step::kOpen, EISDIR));
  // A file shorter than a header keeps zeros where it ends: the caller sees that it is no chunk.
  if (!status.ok() && status.error != ENODATA) return failed(status);
  if (info.bytes == kHeaderBytes + op.bytes) {
    mendSidecar(context, op.path, batch.sidecar_suffix, batch.header(index));
  }
  return {Outcome::kExists, 0, info.bytes, Via::kNothing, Step::kNone};
}

// Another process removed it since it was seen.
bool vanished(const Answer& answer) {
  return answer.outcome == Outcome::kFailed && answer.step == Step::kOpen && answer.code == ENOENT;
}

// Header and size, once the payload is written. Leaves the descriptor open.
Status complete(Context& context, Batch& batch, uint32_t index, int fd) {
  const Operation& op = batch.operations[index];
  char* const header = batch.header(index);
  const size_t blocks = blockCount(op.bytes, op.sum_block);
  for (size_t block = 0; block < blocks; ++block) {
    writeHex(batch.sums[op.first_sum + block], header + op.sum_at + block * 16);
  }
  const Span span = {header, kHeaderBytes};
  const Status status =
      transfer(context, Direction::kWrite, fd, op.direct, SpanCursor(&span, &span + 1, 0, kHeaderBytes), 0);
  if (!status.ok()) return status;
  const off_t bytes = static_cast<off_t>(kHeaderBytes + op.bytes);
  if (op.direct && op.bytes % kDirectUnit != 0) {
    if (const int error = -context.io.ftruncate(fd, bytes); error != 0) {
      return Status::fail(Step::kTruncate, error);
    }
  }
  if (op.sync) {
    if (const int error = -context.io.fsync(fd); error != 0) return Status::fail(Step::kSync, error);
  }
  FileInfo info;
  if (const int error = -context.io.fstat(fd, info); error != 0) return Status::fail(Step::kVerify, error);
  if (info.bytes != static_cast<uint64_t>(bytes)) return Status::fail(Step::kVerify, EIO);
  return {};
}

}  // namespace

bool beginStore(Context& context, Batch& batch, uint32_t index, Answer& answer) {
  Operation& op = batch.operations[index];
  context.core.stats.add(Stat::kStores);
  if (!op.replace) {
    FileInfo info;
    const int error = -context.io.stat(op.path, info);
    if (error == 0) {
      answer = answerExists(context, batch, index);
      if (!vanished(answer)) return false;
    }
  }
  Status status = createTemporary(context, op);
  if (status.ok() && !op.gds) return true;
  // Removed too where a call from here on hangs and comes back: nobody else would.
  Temporary temporary(context.io, op.file == nullptr ? std::string() : op.temporary);
  if (status.ok()) status = attachGds(context, op);
  if (status.ok()) {
    temporary.moved();
    return true;
  }
  if (op.file != nullptr) {
    context.io.letGo(op.file);
    temporary.remove();
  }
  answer = failed(status);
  return false;
}

Status storeSlice(Context& context, Batch& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch.operations[index];
  const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
  const size_t from = size_t{slice} * op.slice_bytes;
  const size_t length = std::min(op.slice_bytes, op.bytes - from);
  if (op.sum_block > 0) {
    for (size_t at = from; at < from + length; at += op.sum_block) {
      batch.sums[op.first_sum + at / op.sum_block] =
          sumOf(batch.cursor(op, at, std::min<size_t>(op.sum_block, op.bytes - at)));
    }
  }
  return transfer(context, Direction::kWrite, file->fd, op.direct, batch.cursor(op, from, length),
                  static_cast<off_t>(kHeaderBytes + from));
}

// How often another process may take the chunk away again before we say so.
constexpr int kMostAttempts = 8;

Answer finishStore(Context& context, Batch& batch, uint32_t index) {
  Operation& op = batch.operations[index];
  std::shared_ptr<OpenFile> file = std::move(op.file);
  Temporary temporary(context.io, std::move(op.temporary));
  if (!op.failed()) {
    Status status = complete(context, batch, index, file->fd);
    // Closed before publishing: some filesystems report a failed write only here.
    const int error = -context.io.close(file->release());
    if (status.ok() && error != 0) status = Status::fail(Step::kClose, error);
    if (!status.ok()) op.fail(Outcome::kFailed, status);
  }
  if (op.failed()) {
    context.io.letGo(file);
    temporary.remove();
    return answerOfFailure(op);
  }
  const std::string header(batch.header(index), kHeaderBytes);
  for (int attempt = 0;; ++attempt) {
    bool exists = false;
    const Status status = publish(context, op, temporary, batch.sidecar_suffix, header.data(), exists);
    if (!status.ok()) return failed(status);
    if (!exists) break;
    const Answer answer = answerExists(context, batch, index);
    if (vanished(answer) && attempt < kMostAttempts) continue;
    temporary.remove();
    return answer;
  }
  countMoved(context.core.stats, op);
  return {Outcome::kDone, 0, op.bytes, viaOf(op), Step::kNone};
}

Answer probeDirectory(Context& context, Batch& batch, uint32_t index) {
  const std::string directory = batch.operations[index].path;
  std::string name;
  const int fd = makeTemporary(context.core, directory, name, [&](const char* free) {
    return context.io.open(free, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
  if (fd < 0) return {Outcome::kDone, -fd, 0, Via::kNothing, Step::kCreate};
  Temporary temporary(context.io, std::move(name));
  (void)context.io.close(fd);

  std::string second;
  const int link_error = -makeTemporary(context.core, directory, second, [&](const char* free) {
    return context.io.linkTemporary(temporary.name(), free);
  });
  if (link_error == 0) (void)context.io.unlink(second.c_str());

  int direct_error = 0;
  const int direct = context.io.open(temporary.name(), O_RDWR | O_CLOEXEC | O_DIRECT);
  if (direct < 0) {
    direct_error = -direct;
  } else {
    OpenFile file(context.io.files(), direct, true);
    char* const unit = context.bounce.data();
    if (unit != nullptr) std::memset(unit, 0, kDirectUnit);
    const iovec part = {unit, kDirectUnit};
    const ssize_t written = unit == nullptr ? -ENOMEM : context.io.pwritev(direct, &part, 1, 0);
    const ssize_t read = written < 0 ? written : context.io.preadv(direct, &part, 1, 0);
    direct_error = read < 0 ? static_cast<int>(-read) : 0;
    (void)context.io.close(file.release());
  }
  temporary.remove();
  const uint64_t found = static_cast<uint64_t>(direct_error) | static_cast<uint64_t>(link_error) << 16;
  return {Outcome::kDone, 0, found, Via::kNothing, Step::kNone};
}

}  // namespace kvo
