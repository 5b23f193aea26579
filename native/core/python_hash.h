// CPython's hash() for what LMCache's `builtin` algorithm hashes: ints, str, and tuples of ints.
//
// Pure functions: any thread, no state, no allocation. A chunk's hash is that of the Python tuple
// (previous, (token, token, …), extra), so a chain of 131,072 tokens is one pass over them.
//
//   std::vector<int64_t> hashes(kvo::chainLength(count, 256, true));
//   kvo::pythonHashChain(noneHash, tokens, count, 256, true, hashes.data());
#pragma once

#include <cstddef>
#include <cstdint>

#include "tuple_bytes.h"

namespace kvo {

// CPython hashes a str with SipHash-1-3 from 3.11 on, with SipHash-2-4 before.
enum class SipRounds : uint8_t { k13, k24 };

// hash(value) of an int that fits 64 bits.
int64_t pythonIntHash(int64_t value);

// hash() of a str whose characters are all ASCII, given as its bytes, in a process with PYTHONHASHSEED=seed.
// CPython hashes the characters as it stores them, 1, 2 or 4 bytes each: only ASCII is the same in UTF-8.
int64_t pythonAsciiHash(const uint8_t* bytes, size_t length, uint32_t seed, SipRounds rounds);

// How many hashes a chain has: one a full chunk, and one more for a shorter tail where `tail` is set.
size_t chainLength(size_t count, size_t chunkTokens, bool tail);

// Writes chainLength(…) hashes to `out`. Tokens are integers from 0 to 2^53 - 1; chunkTokens is at least 1.
// CPython 3.8 or later: before, tuples were hashed otherwise. With Extra::kNone 3.12 or later: before, hash(None) was an
// address.
void pythonHashChain(int64_t noneHash, const uint32_t* tokens, size_t count, size_t chunkTokens, bool tail,
                     int64_t* out, Extra extra = Extra::kEmpty);
void pythonHashChain(int64_t noneHash, const double* tokens, size_t count, size_t chunkTokens, bool tail, int64_t* out,
                     Extra extra = Extra::kEmpty);

}  // namespace kvo
