// Sums and CPython's hashes against known values.
#include "check.h"
#include "core/python_hash.h"
#include "core/sums.h"
#include "rig.h"

using namespace kvo;

namespace {

int64_t asciiHash(const std::string& text, uint32_t seed, SipRounds rounds) {
  return pythonAsciiHash(reinterpret_cast<const uint8_t*>(text.data()), text.size(), seed, rounds);
}

uint64_t sumOfBytes(std::vector<char>& bytes) {
  const Span span = {bytes.data(), bytes.size()};
  return sumOf(SpanCursor(&span, &span + 1, 0, bytes.size()));
}

}  // namespace

TEST(hexIsSixteenLowercaseDigits) {
  char out[17] = {};
  writeHex(0, out);
  CHECK_EQ(std::string(out), "0000000000000000");
  writeHex(0x0123456789abcdef, out);
  CHECK_EQ(std::string(out), "0123456789abcdef");
  writeHex(UINT64_MAX, out);
  CHECK_EQ(std::string(out), "ffffffffffffffff");
}

TEST(sumIsXxh3) {
  std::vector<char> nothing;
  CHECK_EQ(sumOfBytes(nothing), 0x2d06800538d394c2U);
  std::vector<char> zeros(1, 0);
  CHECK_EQ(sumOfBytes(zeros), 0xc44bdff4074eecdbU);
}

TEST(sumDoesNotDependOnHowTheBytesAreSplit) {
  std::vector<char> bytes = someBytes(300000, 3);
  const uint64_t whole = sumOfBytes(bytes);
  Numbers numbers(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<Span> spans;
    for (size_t at = 0; at < bytes.size();) {
      const size_t length = std::min<size_t>(numbers.below(1U << (1 + numbers.below(17))), bytes.size() - at);
      spans.push_back({bytes.data() + at, length});
      at += length;
    }
    CHECK_EQ(sumOf(SpanCursor(spans.data(), spans.data() + spans.size(), 0, bytes.size())), whole);
  }
}

TEST(lastBlockMayBeShorter) {
  CHECK_EQ(blockCount(0, 4096), 0U);
  CHECK_EQ(blockCount(1, 4096), 1U);
  CHECK_EQ(blockCount(4096, 4096), 1U);
  CHECK_EQ(blockCount(4097, 4096), 2U);
  CHECK_EQ(blockCount(4097, 0), 0U);
}

// Golden values of CPython 3.11.7 (test/golden/lmcache.json).
TEST(intHashIsPythons) {
  CHECK_EQ(pythonIntHash(0), 0);
  CHECK_EQ(pythonIntHash(1), 1);
  CHECK_EQ(pythonIntHash(-1), -2);
  CHECK_EQ(pythonIntHash(-2), -2);
  CHECK_EQ(pythonIntHash(2305843009213693950), 2305843009213693950);
  CHECK_EQ(pythonIntHash(2305843009213693951), 0);
  CHECK_EQ(pythonIntHash(2305843009213693952), 1);
  CHECK_EQ(pythonIntHash(-2305843009213693952), -2);
  CHECK_EQ(pythonIntHash(INT64_MAX), 3);
  CHECK_EQ(pythonIntHash(INT64_MIN), -4);
}

TEST(tupleHashIsPythons) {
  const uint32_t tokens[] = {2, 3};
  int64_t hash = 0;
  pythonHashChain(1, tokens, 2, 2, false, &hash);
  CHECK_EQ(hash, 190248630909402296);  // hash((1, (2, 3), ()))
}

TEST(stringHashIsPythons) {
  CHECK_EQ(asciiHash("0", 0, SipRounds::k13), 5313149338359954478);
  CHECK_EQ(asciiHash("123", 0, SipRounds::k13), -720260156515788369);
  CHECK_EQ(asciiHash("0", 0, SipRounds::k24), -5282990986457227702);
  CHECK_EQ(asciiHash("7", 7, SipRounds::k13), 4372514316192806101);
  CHECK_EQ(asciiHash("7", 7, SipRounds::k24), 5434741361990355885);
  CHECK_EQ(asciiHash("", 5, SipRounds::k13), 0);
}

TEST(chainGoesOnFromEachChunkToTheNext) {
  std::vector<uint32_t> tokens(1000);
  std::vector<double> wide(tokens.size());
  Numbers numbers(5);
  for (size_t at = 0; at < tokens.size(); ++at) wide[at] = tokens[at] = static_cast<uint32_t>(numbers.next());
  CHECK_EQ(chainLength(1000, 256, false), 3U);
  CHECK_EQ(chainLength(1000, 256, true), 4U);
  CHECK_EQ(chainLength(768, 256, true), 3U);
  CHECK_EQ(chainLength(0, 256, true), 0U);
  std::vector<int64_t> hashes(4);
  std::vector<int64_t> same(4);
  pythonHashChain(-77, tokens.data(), tokens.size(), 256, true, hashes.data());
  pythonHashChain(-77, wide.data(), wide.size(), 256, true, same.data());
  CHECK(hashes == same);
  int64_t previous = -77;
  for (size_t chunk = 0; chunk < 4; ++chunk) {
    const size_t count = chunk < 3 ? 256 : 232;
    int64_t alone = 0;
    pythonHashChain(previous, tokens.data() + chunk * 256, count, count, false, &alone);
    CHECK_EQ(alone, hashes[chunk]);
    previous = alone;
  }
}
