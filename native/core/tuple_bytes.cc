#include "tuple_bytes.h"

#include <bit>
#include <cstring>

namespace kvo {
namespace {

// Every platform of ours is little-endian.
static_assert(std::endian::native == std::endian::little);

template <typename Number>
void store(uint8_t* out, Number value) {
  std::memcpy(out, &value, sizeof value);
}

class Cbor {
 public:
  explicit Cbor(uint8_t* out) : start_(out), at_(out) {}

  void array(size_t count) { head(4, count); }
  void number(uint64_t value) { head(0, value); }
  void none() { *at_++ = 0xf6; }
  void bytes(const uint8_t* data, size_t length) {
    head(2, length);
    std::memcpy(at_, data, length);
    at_ += length;
  }

  // Most tokens take 2 or 4 bytes, in no order a processor could foresee: both are written without a branch, shifted
  // to the front of a word of which the next token overwrites what is too much.
  void token(uint32_t value) {
    if (value < 0x100) return number(value);
    const uint32_t wide = value > 0xffff;
    *at_ = static_cast<uint8_t>(25 + wide);
    store(at_ + 1, __builtin_bswap32(value << (wide ? 0 : 16)));
    at_ += 3 + 2 * wide;
  }
  void token(double value) { number(static_cast<uint64_t>(value)); }

  size_t length() const { return static_cast<size_t>(at_ - start_); }

 private:
  void head(uint8_t major, uint64_t value) {
    const auto kind = static_cast<uint8_t>(major << 5);
    if (value < 24) {
      *at_++ = static_cast<uint8_t>(kind | value);
    } else if (value < 0x100) {
      *at_++ = kind | 24;
      *at_++ = static_cast<uint8_t>(value);
    } else if (value < 0x10000) {
      *at_++ = kind | 25;
      store(at_, __builtin_bswap16(static_cast<uint16_t>(value)));
      at_ += 2;
    } else if (value < 0x100000000) {
      *at_++ = kind | 26;
      store(at_, __builtin_bswap32(static_cast<uint32_t>(value)));
      at_ += 4;
    } else {
      *at_++ = kind | 27;
      store(at_, __builtin_bswap64(value));
      at_ += 8;
    }
  }

  uint8_t* const start_;
  uint8_t* at_;
};

// Opcodes stand in frames, each after its length. CPython closes one when it begins to save an object and finds the
// frame full.
class Pickle {
 public:
  explicit Pickle(uint8_t* out) : start_(out), at_(out) {
    *at_++ = 0x80;
    *at_++ = 5;
    openFrame();
  }

  void mark() { *at_++ = '('; }
  void none() {
    item();
    *at_++ = 'N';
  }
  void emptyTuple() {
    item();
    *at_++ = ')';
  }
  // The tuple of the last `count` objects, which a mark precedes where they are more than 3.
  void tuple(size_t count) {
    *at_++ = count > 3 ? 't' : static_cast<uint8_t>(0x84 + count);
    *at_++ = kMemoize;
  }
  void bytes(const uint8_t* data, size_t length) {
    item();
    *at_++ = 'C';
    *at_++ = static_cast<uint8_t>(length);
    std::memcpy(at_, data, length);
    at_ += length;
    *at_++ = kMemoize;
  }

  void number(uint64_t value) {
    item();
    if (value < 0x80000000) return small(static_cast<uint32_t>(value));
    // LONG1: two's complement, so that a number whose highest bit begins a byte takes a zero byte more.
    const size_t length = static_cast<size_t>(std::bit_width(value)) / 8 + 1;
    *at_++ = 0x8a;
    *at_++ = static_cast<uint8_t>(length);
    store(at_, value);
    at_[8] = 0;
    at_ += length;
  }
  void token(uint32_t value) {
    if (value >= 0x80000000) return number(value);
    item();
    small(value);
  }
  void token(double value) { number(static_cast<uint64_t>(value)); }

  void item() {
    if (at_ - frame_ < kFullFrame) return;
    closeFrame();
    openFrame();
  }

  size_t finish() {
    *at_++ = '.';
    closeFrame();
    return static_cast<size_t>(at_ - start_);
  }

 private:
  static constexpr uint8_t kMemoize = 0x94;
  static constexpr ptrdiff_t kFullFrame = 65536;

  // BININT1, BININT2 or BININT, without a branch: what is too much of the word is overwritten.
  void small(uint32_t value) {
    const uint32_t over1 = value > 0xff;
    const uint32_t over2 = value > 0xffff;
    *at_ = over2 ? 'J' : over1 ? 'M' : 'K';
    store(at_ + 1, value);
    at_ += 2 + over1 + 2 * over2;
  }
  void openFrame() {
    *at_ = 0x95;
    at_ += 9;
    frame_ = at_;
  }
  void closeFrame() { store(frame_ - 8, static_cast<uint64_t>(at_ - frame_)); }

  uint8_t* const start_;
  uint8_t* at_;
  uint8_t* frame_ = nullptr;
};

}  // namespace

size_t tupleRoom(size_t tokens) {
  // 9 bytes a token, what a frame's head adds every 64 KiB, a link of bytes, and a few opcodes.
  return tokens * 10 + 512;
}

template <typename Token>
size_t cborTuple(const Link& previous, const Token* tokens, size_t count, Extra extra, uint8_t* out) {
  Cbor cbor(out);
  cbor.array(3);
  if (previous.bytes != nullptr) cbor.bytes(previous.bytes, previous.length);
  else cbor.number(previous.number);
  cbor.array(count);
  for (size_t i = 0; i < count; ++i) cbor.token(tokens[i]);
  if (extra == Extra::kNone) cbor.none();
  else cbor.array(0);
  return cbor.length();
}

template <typename Token>
size_t pickleTuple(const Link& previous, const Token* tokens, size_t count, Extra extra, uint8_t* out) {
  Pickle pickle(out);
  if (previous.bytes != nullptr) pickle.bytes(previous.bytes, previous.length);
  else pickle.number(previous.number);
  if (count == 0) {
    pickle.emptyTuple();
  } else {
    pickle.item();
    if (count > 3) pickle.mark();
    for (size_t i = 0; i < count; ++i) pickle.token(tokens[i]);
    pickle.tuple(count);
  }
  if (extra == Extra::kNone) pickle.none();
  else pickle.emptyTuple();
  pickle.tuple(3);
  return pickle.finish();
}

template size_t cborTuple(const Link&, const uint32_t*, size_t, Extra, uint8_t*);
template size_t cborTuple(const Link&, const double*, size_t, Extra, uint8_t*);
template size_t pickleTuple(const Link&, const uint32_t*, size_t, Extra, uint8_t*);
template size_t pickleTuple(const Link&, const double*, size_t, Extra, uint8_t*);

}  // namespace kvo
