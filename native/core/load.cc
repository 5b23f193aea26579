// Looking for chunks and reading them.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "device_slices.h"
#include "operations.h"
#include "sums.h"
#include "transfer.h"

namespace kvo {
namespace {

bool isAbsent(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

uint16_t headerEnd(const char* header) {
  uint64_t padding = 0;
  std::memset(&padding, header[kHeaderBytes - 1], sizeof padding);
  size_t end = kHeaderBytes;
  uint64_t word = 0;
  while (end >= sizeof word) {
    std::memcpy(&word, header + end - sizeof word, sizeof word);
    if (word != padding) break;
    end -= sizeof word;
  }
  while (end > 0 && header[end - 1] == header[kHeaderBytes - 1]) --end;
  return static_cast<uint16_t>(end);
}

Answer checkExists(Context& context, Batch& batch, uint32_t index) {
  const Operation& op = batch.operations[index];
  context.core.stats.add(Stat::kExists);
  FileInfo info;
  const int error = -context.io.stat(op.path, info);
  if (isAbsent(error)) return {Outcome::kAbsent};
  if (error != 0) return failed(Status::fail(Step::kStat, error));
  if (!info.regular) return failed(Status::fail(Step::kStat, EISDIR));
  return {Outcome::kDone, 0, info.bytes, Via::kNothing, Step::kNone};
}

bool beginLoad(Context& context, Batch& batch, uint32_t index, Answer& answer) {
  Operation& op = batch.operations[index];
  context.core.stats.add(Stat::kLoads);
  std::shared_ptr<OpenFile> file;
  FileInfo info;
  // cuFile's direct path wants O_DIRECT.
  const bool direct = context.core.options.direct || op.gds;
  Status status = context.core.cache.open(context.io, op.path, direct, file, info);
  if (!status.ok()) {
    answer = isAbsent(status.error) ? Answer{Outcome::kAbsent} : failed(status);
    return false;
  }
  if (info.bytes != kHeaderBytes + op.bytes) {
    // The header tells the caller what the file is instead; one that is cut short has zeros behind its end.
    std::memset(batch.header(index), 0, kHeaderBytes);
    (void)readWithHeader(context, file->fd, file->direct, batch.header(index), batch.cursor(op, 0, 0));
    context.io.letGo(file);
    answer = {Outcome::kSizeMismatch, 0, info.bytes, Via::kNothing, Step::kVerify};
    return false;
  }
  op.direct = file->direct;
  op.file = std::move(file);
  if (op.gds) status = attachGds(context, op);
  if (status.ok()) return true;
  context.io.letGo(op.file);
  answer = failed(status);
  return false;
}

Status loadSlice(Context& context, Batch& batch, uint32_t index, uint32_t slice) {
  Operation& op = batch.operations[index];
  const std::shared_ptr<OpenFile> file = op.file;  // held, in case the call hangs
  const size_t from = size_t{slice} * op.slice_bytes;
  const size_t length = std::min(op.slice_bytes, op.bytes - from);
  const SpanCursor cursor = batch.cursor(op, from, length);
  const Status status = slice == 0 ? readWithHeader(context, file->fd, file->direct, batch.header(index), cursor)
                                   : transfer(context, Direction::kRead, file->fd, file->direct, cursor,
                                              static_cast<off_t>(kHeaderBytes + from));
  if (status.ok() && slice == 0) op.header_end = headerEnd(batch.header(index));
  if (!status.ok() || op.sum_block == 0) return status;
  // Summed slice by slice, while the bytes are still in the processor's cache.
  for (size_t at = from; at < from + length; at += op.sum_block) {
    batch.sums[op.first_sum + at / op.sum_block] =
        sumOf(batch.cursor(op, at, std::min<size_t>(op.sum_block, op.bytes - at)));
  }
  return {};
}

}  // namespace kvo
