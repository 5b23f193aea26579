// A chunk's memory as a list of spans, walked as one run of bytes.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace kvo {

struct Span {
  char* data;
  size_t bytes;
};

// Hands out the bytes [offset, offset + length) of the run as iovecs or pieces. Does not own the spans.
class SpanCursor {
 public:
  SpanCursor(const Span* first, const Span* last, size_t offset, size_t length)
      : at_(first), last_(last), skipped_(offset), left_(length) {
    settle();
  }

  size_t left() const { return left_; }

  // The longest piece of contiguous memory from here on, at most `most` bytes.
  Span piece(size_t most) const {
    if (left_ == 0) return {nullptr, 0};
    size_t bytes = at_->bytes - skipped_;
    if (bytes > left_) bytes = left_;
    if (bytes > most) bytes = most;
    return {at_->data + skipped_, bytes};
  }

  void advance(size_t bytes) {
    skipped_ += bytes;
    left_ -= bytes;
    settle();
  }

  // Fills up to `most` iovecs from here on, without advancing; returns how many.
  int fill(iovec* out, int most) const {
    SpanCursor walk = *this;
    int count = 0;
    while (count < most && walk.left_ > 0) {
      const Span next = walk.piece(SIZE_MAX);
      out[count++] = {next.data, next.bytes};
      walk.advance(next.bytes);
    }
    return count;
  }

 private:
  void settle() {
    while (at_ != last_ && skipped_ >= at_->bytes) skipped_ -= (at_++)->bytes;
  }

  const Span* at_;
  const Span* last_;
  size_t skipped_;
  size_t left_;
};

}  // namespace kvo
