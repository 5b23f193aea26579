// The bytes that LMCache hashes for one chunk: the Python tuple (previous, (token, token, …), extra), as canonical CBOR
// (RFC 8949, section 4.2) or as pickle protocol 5 spells it.
//
// Pure functions: any thread, no state, no allocation.
//
//   std::vector<uint8_t> bytes(kvo::tupleRoom(256));
//   const size_t length = kvo::cborTuple({.number = 0}, tokens, 256, kvo::Extra::kEmpty, bytes.data());
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvo {

// The tuple's third member: None in LMCache up to 0.3.15, the empty tuple since.
enum class Extra : uint8_t { kNone, kEmpty };

// The tuple's first member, the hash before: an integer, or, where `bytes` is set, a Python bytes object of at most
// 255 bytes.
struct Link {
  uint64_t number = 0;
  const uint8_t* bytes = nullptr;
  size_t length = 0;
};

// Bytes that a tuple of so many tokens takes at most, in either spelling. Writers may touch all of it.
size_t tupleRoom(size_t tokens);

// Write the tuple to `out` and return its length. Tokens are integers from 0 to 2^53 - 1, as uint32_t or double.
template <typename Token>
size_t cborTuple(const Link& previous, const Token* tokens, size_t count, Extra extra, uint8_t* out);
template <typename Token>
size_t pickleTuple(const Link& previous, const Token* tokens, size_t count, Extra extra, uint8_t* out);

}  // namespace kvo
