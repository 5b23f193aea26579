// The bytes that LMCache hashes, and the chains of XXH3-128 over them, against known values.
#include "core/tuple_bytes.h"

#include <string>
#include <vector>

#include "check.h"
#include "core/python_hash.h"
#include "core/xxh_chain.h"

using namespace kvo;

namespace {

std::string hexOf(const uint8_t* bytes, size_t length) {
  std::string hex;
  for (size_t i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[bytes[i] >> 4];
    hex += "0123456789abcdef"[bytes[i] & 15];
  }
  return hex;
}

template <typename Token>
std::string cborOf(const Link& previous, const std::vector<Token>& tokens, Extra extra = Extra::kEmpty) {
  std::vector<uint8_t> out(tupleRoom(tokens.size()));
  return hexOf(out.data(), cborTuple(previous, tokens.data(), tokens.size(), extra, out.data()));
}

template <typename Token>
std::string pickleOf(const Link& previous, const std::vector<Token>& tokens, Extra extra = Extra::kEmpty) {
  std::vector<uint8_t> out(tupleRoom(tokens.size()));
  return hexOf(out.data(), pickleTuple(previous, tokens.data(), tokens.size(), extra, out.data()));
}

const std::vector<uint32_t> kFew = {0, 1, 2};
const std::vector<uint8_t> kDigest(16, 0xab);

}  // namespace

TEST(cborIsCanonical) {
  CHECK_EQ(cborOf({.number = 0}, kFew), "83008300010280");
  const std::vector<uint32_t> edges = {23, 24, 255, 256, 65535, 65536, UINT32_MAX};
  CHECK_EQ(cborOf({.number = UINT64_MAX}, edges, Extra::kNone),
           "831bffffffffffffffff8717181818ff19010019ffff1a000100001afffffffff6");
  const std::vector<double> wide = {4294967296.0, 9007199254740991.0};
  CHECK_EQ(cborOf({.bytes = kDigest.data(), .length = 2}, wide), "8342abab821b00000001000000001b001fffffffffffff80");
}

TEST(pickleIsCPythons) {
  CHECK_EQ(pickleOf({.number = 0}, kFew), "8005950e000000000000004b004b004b014b0287942987942e");
  CHECK_EQ(pickleOf({.number = 0}, std::vector<uint32_t>{}), "80059507000000000000004b00292987942e");
  const std::vector<double> edges = {2147483648.0, 9007199254740991.0, 2147483647.0};
  CHECK_EQ(pickleOf({.number = UINT64_MAX}, edges),
           "80059526000000000000008a09ffffffffffffffff008a0500000080008a07ffffffffffff1f4affffff7f87942987942e");
}

TEST(fullFramesOfAPickleAreClosed) {
  const std::vector<uint32_t> tokens(13107, 70000);
  const std::string hex = pickleOf({.number = 0}, tokens);
  CHECK_EQ(hex.size(), 2U * 65564);
  CHECK_EQ(hex.substr(0, 22),
           "80059504"
           "00010000000000");
  CHECK_EQ(hex.substr(hex.size() - 26),
           "950400000000000000"
           "2987942e");
}

TEST(wideTokensAreSpelledAsNarrowOnes) {
  std::vector<uint32_t> narrow;
  for (uint32_t bit = 0; bit < 32; ++bit) {
    for (const uint32_t value : {(1U << bit) - 1, 1U << bit, (1U << bit) + 1}) narrow.push_back(value);
  }
  narrow.resize(20000, 300);
  const std::vector<double> wide(narrow.begin(), narrow.end());
  CHECK_EQ(cborOf({.number = 7}, wide), cborOf({.number = 7}, narrow));
  CHECK_EQ(pickleOf({.number = 7}, wide), pickleOf({.number = 7}, narrow));
}

TEST(roomIsForTheLongestTokens) {
  const std::vector<double> wide(20000, 9007199254740991.0);
  const std::vector<uint8_t> link(255, 1);
  const Link previous = {.bytes = link.data(), .length = link.size()};
  CHECK(cborOf(previous, wide).size() / 2 <= tupleRoom(wide.size()));
  CHECK(pickleOf(previous, wide).size() / 2 <= tupleRoom(wide.size()));
}

TEST(chainLinksWhatItKeeps) {
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < 600; ++i) tokens.push_back(i);
  for (const TupleSpelling spelling : {TupleSpelling::kCbor, TupleSpelling::kPickle}) {
    for (const size_t keep : {sizeof(uint64_t), kXxhDigestBytes}) {
      std::vector<uint8_t> chain(3 * keep);
      xxhChain(spelling, {.number = 5}, Extra::kNone, tokens.data(), tokens.size(), 256, true, keep, chain.data());
      Link previous = {.number = 5};
      for (size_t chunk = 0; chunk < 3; ++chunk) {
        const size_t count = chunk < 2 ? 256 : 88;
        std::vector<uint8_t> alone(keep);
        xxhChain(spelling, previous, Extra::kNone, tokens.data() + chunk * 256, count, count, false, keep,
                 alone.data());
        const uint8_t* const kept = chain.data() + chunk * keep;
        CHECK_EQ(hexOf(kept, keep), hexOf(alone.data(), keep));
        previous = {.bytes = kept, .length = keep};
        if (keep == 8) {
          previous = {};
          for (size_t i = 0; i < 8; ++i) previous.number = (previous.number << 8) | kept[i];
        }
      }
    }
  }
}

TEST(digestIsCanonical) {
  // XXH3-128 of nothing.
  CHECK_EQ(hexOf(xxhDigest(nullptr, 0).data(), kXxhDigestBytes), "99aa06d3014798d86001c324468d497f");
}

TEST(noneIsHashedAsPython312Hashes) {
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < 600; ++i) tokens.push_back(i);
  int64_t hashes[3] = {};
  pythonHashChain(5313149338359954478, tokens.data(), tokens.size(), 256, true, hashes, Extra::kNone);
  CHECK_EQ(hashes[0], 3067829022414786342);
  CHECK_EQ(hashes[1], -6064366088855478519);
  CHECK_EQ(hashes[2], -3439432626845963341);
}
