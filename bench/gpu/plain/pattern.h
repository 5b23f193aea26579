// The bytes that every run moves, a function of their place in the whole: word w of files × bytes. Scattered memory
// holds the same words, its segments in another order.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

namespace plain {

inline uint64_t wordAt(uint64_t word) { return ((word + 1) * 0x9E3779B97F4A7C15ULL) ^ (word >> 9); }

// Where the pieces of a whole lie in memory: every piece in another place than its neighbours.
class Places {
 public:
  // `segment` 0: the whole in order.
  Places(size_t total, size_t segment) : segment_(segment == 0 ? total : segment), count_(total / segment_) {
    step_ = segment == 0 ? 1 : count_ * 618 / 1000 + 1;
    while (std::gcd(step_, count_) != 1) ++step_;
    from_.resize(count_);
    for (size_t piece = 0; piece < count_; ++piece) from_[piece * step_ % count_] = piece;
  }

  size_t segment() const { return segment_; }
  // Offset in memory of the whole's byte `at`.
  size_t placeOf(size_t at) const { return at / segment_ * step_ % count_ * segment_ + at % segment_; }
  // Offset in the whole of memory's byte `at`.
  size_t originOf(size_t at) const { return from_[at / segment_] * segment_ + at % segment_; }

 private:
  size_t segment_;
  size_t count_;
  size_t step_;
  std::vector<size_t> from_;
};

}  // namespace plain
