// Cursors over segment lists, and the regions that segments name.
#include "core/spans.h"
#include "check.h"
#include "core/regions.h"
#include "rig.h"

using namespace kvo;

namespace {

struct Run {
  std::vector<char> bytes;
  std::vector<Span> spans;
  std::vector<char*> order;  // each byte of the run, where it is
};

// Up to 20 spans, some empty, in any order over one buffer.
Run someRun(Numbers& numbers) {
  Run run;
  run.bytes.resize(4000);
  const size_t count = numbers.below(21);
  for (size_t span = 0; span < count; ++span) {
    const size_t from = numbers.below(run.bytes.size());
    const size_t bytes = numbers.below(4) == 0 ? 0 : numbers.below(std::min<size_t>(run.bytes.size() - from, 200));
    run.spans.push_back({run.bytes.data() + from, bytes});
    for (size_t at = 0; at < bytes; ++at) run.order.push_back(run.bytes.data() + from + at);
  }
  return run;
}

}  // namespace

TEST(cursorVisitsEachByteOfItsRangeInOrder) {
  Numbers numbers(1);
  for (int round = 0; round < 2000; ++round) {
    Run run = someRun(numbers);
    const size_t offset = numbers.below(run.order.size() + 1);
    const size_t length = numbers.below(run.order.size() - offset + 1);
    SpanCursor cursor(run.spans.data(), run.spans.data() + run.spans.size(), offset, length);
    size_t at = offset;
    while (cursor.left() > 0) {
      CHECK_EQ(cursor.left(), offset + length - at);
      const size_t most = 1 + numbers.below(300);
      const Span piece = cursor.piece(most);
      CHECK(piece.bytes > 0 && piece.bytes <= most);
      for (size_t byte = 0; byte < piece.bytes; ++byte) CHECK(piece.data + byte == run.order[at + byte]);
      const size_t step = 1 + numbers.below(piece.bytes);
      cursor.advance(step);
      at += step;
    }
    CHECK_EQ(at, offset + length);
    CHECK_EQ(cursor.piece(SIZE_MAX).bytes, 0U);
  }
}

TEST(fillDescribesWhatAdvanceWillPass) {
  Numbers numbers(2);
  for (int round = 0; round < 2000; ++round) {
    Run run = someRun(numbers);
    const size_t offset = numbers.below(run.order.size() + 1);
    const size_t length = numbers.below(run.order.size() - offset + 1);
    SpanCursor cursor(run.spans.data(), run.spans.data() + run.spans.size(), offset, length);
    iovec parts[8];
    size_t at = offset;
    while (cursor.left() > 0) {
      const int count = cursor.fill(parts, 1 + static_cast<int>(numbers.below(8)));
      CHECK(count > 0);
      size_t bytes = 0;
      for (int part = 0; part < count; ++part) {
        CHECK(parts[part].iov_len > 0);
        for (size_t byte = 0; byte < parts[part].iov_len; ++byte, ++bytes) {
          CHECK(static_cast<char*>(parts[part].iov_base) + byte == run.order[at + bytes]);
        }
      }
      // As far as a short write might get, which may be more than one part.
      const size_t step = 1 + numbers.below(bytes);
      cursor.advance(step);
      at += step;
    }
    CHECK_EQ(at, offset + length);
  }
}

TEST(regionGivesOnlyWhatLiesInside) {
  Regions regions;
  char memory[100];
  const uint64_t region = regions.add(memory, sizeof memory);
  CHECK(regions.resolve(region, 0, 100).data == memory);
  CHECK_EQ(regions.resolve(region, 0, 100).bytes, 100U);
  CHECK(regions.resolve(region, 99, 1).data == memory + 99);
  CHECK(regions.resolve(region, 100, 0).data == memory + 100);
  CHECK(regions.resolve(region, 0, 101).data == nullptr);
  CHECK(regions.resolve(region, 100, 1).data == nullptr);
  CHECK(regions.resolve(region, 101, 0).data == nullptr);
  // Sums that would wrap around.
  CHECK(regions.resolve(region, 1, UINT64_MAX).data == nullptr);
  CHECK(regions.resolve(region, UINT64_MAX, 2).data == nullptr);
  CHECK(regions.resolve(region + 1, 0, 1).data == nullptr);
  CHECK(regions.resolve(0, 0, 1).data == nullptr);
}

TEST(regionStaysWhileLeasedAndItsNumberIsNotGivenAgain) {
  Regions regions;
  char memory[8];
  const uint64_t first = regions.add(memory, sizeof memory);
  regions.lease(first);
  regions.lease(first);
  CHECK(!regions.remove(first));
  regions.giveBack(first);
  CHECK(!regions.remove(first));
  regions.giveBack(first);
  CHECK(regions.remove(first));
  CHECK(!regions.remove(first));
  CHECK(regions.resolve(first, 0, 1).data == nullptr);
  CHECK(regions.add(memory, sizeof memory) != first);
}
