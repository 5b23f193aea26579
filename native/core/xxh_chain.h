// LMCache's `xxhash` and `xxhash_cbor`: chains of XXH3-128 (seed 0) over the tuples of tuple_bytes.h.
//
// Pure functions: any thread, no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tuple_bytes.h"

namespace kvo {

enum class TupleSpelling : uint8_t { kCbor, kPickle };

inline constexpr size_t kXxhDigestBytes = 16;
using XxhDigest = std::array<uint8_t, kXxhDigestBytes>;

// In its canonical form, the most significant byte first.
XxhDigest xxhDigest(const uint8_t* bytes, size_t length);

// Writes the first `keep` bytes of chainLength(…) digests to `out`. The next chunk's link is what was kept: 8 bytes as
// an integer, 16 as a bytes object. Tokens are integers from 0 to 2^53 - 1, as uint32_t or double; chunkTokens is at
// least 1.
template <typename Token>
void xxhChain(TupleSpelling spelling, const Link& none, Extra extra, const Token* tokens, size_t count,
              size_t chunkTokens, bool tail, size_t keep, uint8_t* out);

}  // namespace kvo
