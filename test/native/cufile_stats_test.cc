// Where cuFile's counters lie in what it writes, which differs between its versions.
#include <cstring>

#include "check.h"
#include "shim/cufile.h"

using namespace kvo;

namespace {

// What the next call writes: bytes below the GPUs, what it says they are, and how many are written.
struct Layout {
  size_t below = 0;
  unsigned said = 0;
  unsigned written = 0;
  int error = 0;
};
Layout layout;

CuFileError writeStats(void* stats) {
  auto* at = static_cast<unsigned char*>(stats);
  std::memset(at, 7, layout.below);
  at += layout.below;
  std::memcpy(at, &layout.said, sizeof layout.said);
  at += 8;
  for (unsigned gpu = 0; gpu < layout.written; ++gpu) {
    CuFileGpuStats one{};
    if (gpu < layout.said) {
      one.read_total = gpu + 1;
      one.write_posix = 100 + gpu;
      const uint64_t registered = size_t{1} << 33;
      std::memcpy(reinterpret_cast<unsigned char*>(&one) + 240, &registered, sizeof registered);
    }
    std::memcpy(at, &one, sizeof one);
    at += sizeof one;
  }
  return {layout.error, 0};
}

std::vector<CuFileGpuStats> read(const Layout& next, bool can = true) {
  layout = next;
  CuFile cufile{};
  cufile.stats = writeStats;
  std::vector<CuFileGpuStats> gpus;
  CHECK_EQ(cufile.readGpuStats(gpus), can);
  return gpus;
}

}  // namespace

TEST(countersAreFoundWhereverTheyBegin) {
  for (const size_t below : {size_t{1024}, size_t{1136}, size_t{2000}}) {
    for (const unsigned count : {1U, 2U, 3U, 8U, 15U, 16U}) {
      const auto gpus = read({below, count, count});
      CHECK_EQ(gpus.size(), count);
      for (unsigned gpu = 0; gpu < count; ++gpu) {
        CHECK_EQ(gpus[gpu].read_total, gpu + 1);
        CHECK_EQ(gpus[gpu].write_posix, 100 + gpu);
      }
    }
  }
}

TEST(countersAreFoundAmongRoomForMoreGpus) {
  const auto gpus = read({1024, 2, 16});
  CHECK_EQ(gpus.size(), 2U);
  CHECK_EQ(gpus[1].read_total, 2U);
}

TEST(countersThatLieSomehowElseAreNotRead) {
  CHECK(read({1024, 0, 1}, false).empty());
  CHECK(read({1024, 5, 4}, false).empty());
  CHECK(read({1024, 17, 16}, false).empty());
  CHECK(read({16, 1, 0}, false).empty());
  CHECK(read({1024, 1, 1, 5022}, false).empty());
  std::vector<CuFileGpuStats> gpus;
  CHECK(!CuFile{}.readGpuStats(gpus));
}
