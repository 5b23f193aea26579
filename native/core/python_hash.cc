#include "python_hash.h"

#include <algorithm>
#include <array>
#include <bit>

namespace kvo {
namespace {

constexpr uint64_t kIntModulus = (uint64_t{1} << 61) - 1;

// hash(None), a constant from CPython 3.12 on.
constexpr uint64_t kHashOfNone = 4238894112;

// −1 is CPython's error value, so no hash is −1.
int64_t avoidError(int64_t hash) { return hash == -1 ? -2 : hash; }

// The tuple hash of CPython 3.8 and later, which it derives from xxHash.
class TupleHash {
 public:
  void add(uint64_t lane) {
    state_ += lane * kPrime2;
    state_ = std::rotl(state_, 31) * kPrime1;
  }

  int64_t finish(uint64_t lanes) const {
    const uint64_t hash = state_ + (lanes ^ (kPrime5 ^ 3527539));
    return static_cast<int64_t>(hash == ~uint64_t{0} ? uint64_t{1546275796} : hash);
  }

 private:
  static constexpr uint64_t kPrime1 = 11400714785074694791U;
  static constexpr uint64_t kPrime2 = 14029467366897019727U;
  static constexpr uint64_t kPrime5 = 2870177450012600261U;
  uint64_t state_ = kPrime5;
};

// Tokens stay below 2^61 − 1, so hash(token) is the token.
template <typename Token>
int64_t tokensHash(const Token* tokens, size_t count) {
  TupleHash hash;
  for (size_t i = 0; i < count; ++i) hash.add(static_cast<uint64_t>(tokens[i]));
  return hash.finish(count);
}

template <typename Token>
void hashChain(int64_t noneHash, const Token* tokens, size_t count, size_t chunkTokens, bool tail, int64_t* out,
               Extra extra) {
  const uint64_t extraHash = extra == Extra::kNone ? kHashOfNone : static_cast<uint64_t>(TupleHash{}.finish(0));
  const size_t chunks = chainLength(count, chunkTokens, tail);
  int64_t previous = noneHash;
  for (size_t i = 0; i < chunks; ++i) {
    const size_t start = i * chunkTokens;
    TupleHash hash;
    hash.add(static_cast<uint64_t>(pythonIntHash(previous)));
    hash.add(static_cast<uint64_t>(tokensHash(tokens + start, std::min(chunkTokens, count - start))));
    hash.add(extraHash);
    previous = hash.finish(3);
    out[i] = previous;
  }
}

struct SipKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

uint64_t littleEndian(const uint8_t* bytes, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i) word |= uint64_t{bytes[i]} << (8 * i);
  return word;
}

// The key a seed stands for: zeros for 0, else bytes of a linear congruential generator, as CPython fills it.
SipKey keyOf(uint32_t seed) {
  if (seed == 0) return {};
  std::array<uint8_t, 16> bytes{};
  uint32_t state = seed;
  for (uint8_t& byte : bytes) {
    state = state * 214013U + 2531011U;
    byte = static_cast<uint8_t>(state >> 16);
  }
  return {littleEndian(bytes.data(), 8), littleEndian(bytes.data() + 8, 8)};
}

struct SipState {
  uint64_t v0, v1, v2, v3;

  void mix(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }

  void absorb(uint64_t word, int rounds) {
    v3 ^= word;
    mix(rounds);
    v0 ^= word;
  }
};

uint64_t sipHash(const uint8_t* bytes, size_t length, SipKey key, int perWord, int atEnd) {
  SipState state{key.low ^ 0x736f6d6570736575U, key.high ^ 0x646f72616e646f6dU, key.low ^ 0x6c7967656e657261U,
                 key.high ^ 0x7465646279746573U};
  const size_t whole = length - length % 8;
  for (size_t i = 0; i < whole; i += 8) state.absorb(littleEndian(bytes + i, 8), perWord);
  state.absorb(littleEndian(bytes + whole, length - whole) | (uint64_t{length} << 56), perWord);
  state.v2 ^= 0xff;
  state.mix(atEnd);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace

int64_t pythonIntHash(int64_t value) {
  // Negated as unsigned, for the most negative number has no positive counterpart.
  const uint64_t magnitude = value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  const auto reduced = static_cast<int64_t>(magnitude % kIntModulus);
  return avoidError(value < 0 ? -reduced : reduced);
}

int64_t pythonAsciiHash(const uint8_t* bytes, size_t length, uint32_t seed, SipRounds rounds) {
  if (length == 0) return 0;
  const SipKey key = keyOf(seed);
  const uint64_t hash =
      rounds == SipRounds::k13 ? sipHash(bytes, length, key, 1, 3) : sipHash(bytes, length, key, 2, 4);
  return avoidError(static_cast<int64_t>(hash));
}

size_t chainLength(size_t count, size_t chunkTokens, bool tail) {
  const size_t whole = count / chunkTokens;
  return whole + (tail && count % chunkTokens != 0 ? 1 : 0);
}

void pythonHashChain(int64_t noneHash, const uint32_t* tokens, size_t count, size_t chunkTokens, bool tail,
                     int64_t* out, Extra extra) {
  hashChain(noneHash, tokens, count, chunkTokens, tail, out, extra);
}

void pythonHashChain(int64_t noneHash, const double* tokens, size_t count, size_t chunkTokens, bool tail, int64_t* out,
                     Extra extra) {
  hashChain(noneHash, tokens, count, chunkTokens, tail, out, extra);
}

}  // namespace kvo
