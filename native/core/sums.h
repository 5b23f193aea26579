// XXH3-64 (seed 0) of a payload, block by block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "spans.h"

namespace kvo {

// Sum of the bytes left in the cursor.
uint64_t sumOf(SpanCursor cursor);

inline size_t blockCount(size_t bytes, size_t block) { return block == 0 ? 0 : (bytes + block - 1) / block; }

// Writes 16 lowercase hex digits, most significant first.
void writeHex(uint64_t value, char* out);

}  // namespace kvo
