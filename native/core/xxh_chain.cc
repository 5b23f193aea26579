#include "xxh_chain.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "python_hash.h"

#define XXH_INLINE_ALL
#include "../vendor/xxhash/xxhash.h"

namespace kvo {
namespace {

Link linkOf(const uint8_t* kept, size_t keep) {
  if (keep != sizeof(uint64_t)) return {.bytes = kept, .length = keep};
  uint64_t number = 0;
  std::memcpy(&number, kept, sizeof number);
  return {.number = __builtin_bswap64(number)};
}

}  // namespace

XxhDigest xxhDigest(const uint8_t* bytes, size_t length) {
  XXH128_canonical_t canonical;
  static_assert(sizeof canonical.digest == kXxhDigestBytes);
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, length));
  XxhDigest digest;
  std::memcpy(digest.data(), canonical.digest, digest.size());
  return digest;
}

template <typename Token>
void xxhChain(TupleSpelling spelling, const Link& none, Extra extra, const Token* tokens, size_t count,
              size_t chunkTokens, bool tail, size_t keep, uint8_t* out) {
  const auto tuple = spelling == TupleSpelling::kCbor ? cborTuple<Token> : pickleTuple<Token>;
  const auto bytes = std::make_unique_for_overwrite<uint8_t[]>(tupleRoom(std::min(chunkTokens, count)));
  const size_t chunks = chainLength(count, chunkTokens, tail);
  Link previous = none;
  for (size_t i = 0; i < chunks; ++i, out += keep) {
    const size_t start = i * chunkTokens;
    const size_t length = tuple(previous, tokens + start, std::min(chunkTokens, count - start), extra, bytes.get());
    const XxhDigest digest = xxhDigest(bytes.get(), length);
    std::memcpy(out, digest.data(), keep);
    previous = linkOf(out, keep);
  }
}

template void xxhChain(TupleSpelling, const Link&, Extra, const uint32_t*, size_t, size_t, bool, size_t, uint8_t*);
template void xxhChain(TupleSpelling, const Link&, Extra, const double*, size_t, size_t, bool, size_t, uint8_t*);

}  // namespace kvo
