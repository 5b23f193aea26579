#include "sums.h"

#define XXH_INLINE_ALL
#include "../vendor/xxhash/xxhash.h"

namespace kvo {

uint64_t sumOf(SpanCursor cursor) {
  const Span only = cursor.piece(SIZE_MAX);
  if (only.bytes == cursor.left()) return XXH3_64bits(only.data, only.bytes);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  while (cursor.left() > 0) {
    const Span piece = cursor.piece(SIZE_MAX);
    XXH3_64bits_update(&state, piece.data, piece.bytes);
    cursor.advance(piece.bytes);
  }
  return XXH3_64bits_digest(&state);
}

void writeHex(uint64_t value, char* out) {
  for (int digit = 15; digit >= 0; --digit, value >>= 4) out[digit] = "0123456789abcdef"[value & 15];
}

}  // namespace kvo
