#include "transfer.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace kvo {
namespace {

// Enough for a paged slice in few calls, small enough for the stack; below every system's IOV_MAX.
constexpr int kParts = 128;

// A first read that is larger gets no read-ahead: cold files of 32 MiB came at half the speed.
constexpr size_t kMostInOneGo = size_t{1} << 20;

Status stepOf(Direction direction, int error) {
  return Status::fail(direction == Direction::kRead ? Step::kRead : Step::kWrite, error);
}

ssize_t move(Context& context, Direction direction, int fd, const iovec* parts, int count, off_t offset) {
  if (direction == Direction::kRead) return context.io.preadv(fd, parts, count, offset);
  return context.io.pwritev(fd, parts, count, offset);
}

Status buffered(Context& context, Direction direction, int fd, SpanCursor cursor, off_t offset) {
  iovec parts[kParts];
  while (cursor.left() > 0) {
    const ssize_t moved = move(context, direction, fd, parts, cursor.fill(parts, kParts), offset);
    if (moved < 0) return stepOf(direction, static_cast<int>(-moved));
    if (moved == 0) return stepOf(direction, direction == Direction::kRead ? ENODATA : EIO);
    cursor.advance(static_cast<size_t>(moved));
    offset += moved;
  }
  return {};
}

bool aligned(const void* address) { return reinterpret_cast<uintptr_t>(address) % kDirectUnit == 0; }
size_t roundUp(size_t bytes) { return (bytes + kDirectUnit - 1) / kDirectUnit * kDirectUnit; }

// In place as far as the memory is aligned piece by piece; true when only a tail shorter than a unit is left.
bool directInPlace(SpanCursor cursor) {
  while (cursor.left() >= kDirectUnit) {
    const Span piece = cursor.piece(SIZE_MAX);
    if (!aligned(piece.data)) return false;
    if (piece.bytes % kDirectUnit != 0 && piece.bytes != cursor.left()) return false;
    cursor.advance(piece.bytes);
  }
  return true;
}

// Cuts what is behind the last whole unit, which may be more than one piece; returns how many parts are left.
int wholeUnits(iovec* parts, int count) {
  size_t bytes = 0;
  for (int part = 0; part < count; ++part) bytes += parts[part].iov_len;
  for (size_t over = bytes % kDirectUnit; over > 0;) {
    const size_t cut = std::min(over, parts[count - 1].iov_len);
    parts[count - 1].iov_len -= cut;
    over -= cut;
    if (parts[count - 1].iov_len == 0) --count;
  }
  return count;
}

// Whole units straight from or into the memory. Advances past what moved.
Status directUnits(Context& context, Direction direction, int fd, SpanCursor& cursor, off_t& offset) {
  iovec parts[kParts];
  while (cursor.left() >= kDirectUnit) {
    const int count = wholeUnits(parts, cursor.fill(parts, kParts));
    const ssize_t moved = move(context, direction, fd, parts, count, offset);
    if (moved < 0) return stepOf(direction, static_cast<int>(-moved));
    // A short count that is no whole unit can't be continued directly; it means the file's end, or a lying filesystem.
    if (moved == 0 || static_cast<size_t>(moved) % kDirectUnit != 0) {
      return stepOf(direction, direction == Direction::kRead ? ENODATA : EIO);
    }
    cursor.advance(static_cast<size_t>(moved));
    offset += moved;
  }
  return {};
}

void copy(Direction direction, SpanCursor& cursor, char* bounce, size_t bytes) {
  while (bytes > 0) {
    const Span piece = cursor.piece(bytes);
    if (direction == Direction::kRead) std::memcpy(piece.data, bounce, piece.bytes);
    else std::memcpy(bounce, piece.data, piece.bytes);
    bounce += piece.bytes;
    bytes -= piece.bytes;
    cursor.advance(piece.bytes);
  }
}

// Through the aligned buffer. A written tail is padded with zeros to a whole unit: the caller cuts the file to size.
Status bounced(Context& context, Direction direction, int fd, SpanCursor cursor, off_t offset) {
  char* const bounce = context.bounce.data();
  if (bounce == nullptr) return Status::fail(Step::kMemory, ENOMEM);
  while (cursor.left() > 0) {
    const size_t bytes = std::min(cursor.left(), Bounce::kBytes);
    const size_t padded = roundUp(bytes);
    if (direction == Direction::kWrite) {
      copy(direction, cursor, bounce, bytes);
      std::memset(bounce + bytes, 0, padded - bytes);
    }
    size_t done = 0;
    while (done < bytes) {
      const iovec part = {bounce + done, padded - done};
      const ssize_t moved = move(context, direction, fd, &part, 1, offset + static_cast<off_t>(done));
      if (moved < 0) return stepOf(direction, static_cast<int>(-moved));
      done += static_cast<size_t>(moved);
      if (done < bytes && (moved == 0 || done % kDirectUnit != 0)) {
        return stepOf(direction, direction == Direction::kRead ? ENODATA : EIO);
      }
    }
    if (direction == Direction::kRead) copy(direction, cursor, bounce, bytes);
    context.core.stats.add(Stat::kBouncedBytes, bytes);
    offset += static_cast<off_t>(bytes);
  }
  return {};
}

}  // namespace

Status transfer(Context& context, Direction direction, int fd, bool direct, SpanCursor cursor, off_t offset) {
  if (!direct) return buffered(context, direction, fd, cursor, offset);
  if (directInPlace(cursor)) {
    const Status status = directUnits(context, direction, fd, cursor, offset);
    if (!status.ok()) return status;
  }
  return bounced(context, direction, fd, cursor, offset);
}

Status readWithHeader(Context& context, int fd, bool direct, char* header, SpanCursor cursor) {
  const Span head = {header, kHeaderBytes};
  const SpanCursor header_cursor(&head, &head + 1, 0, kHeaderBytes);
  if (direct || cursor.left() > kMostInOneGo) {
    const Status status = transfer(context, Direction::kRead, fd, direct, header_cursor, 0);
    if (!status.ok()) return status;
    return transfer(context, Direction::kRead, fd, direct, cursor, kHeaderBytes);
  }
  iovec parts[kParts];
  parts[0] = {header, kHeaderBytes};
  const int count = 1 + cursor.fill(parts + 1, kParts - 1);
  const ssize_t moved = context.io.preadv(fd, parts, count, 0);
  if (moved < 0) return stepOf(Direction::kRead, static_cast<int>(-moved));
  if (static_cast<size_t>(moved) < kHeaderBytes) {
    const Status status = buffered(context, Direction::kRead, fd, header_cursor, 0);
    if (!status.ok()) return status;
    return buffered(context, Direction::kRead, fd, cursor, kHeaderBytes);
  }
  cursor.advance(static_cast<size_t>(moved) - kHeaderBytes);
  return buffered(context, Direction::kRead, fd, cursor, moved);
}

}  // namespace kvo
