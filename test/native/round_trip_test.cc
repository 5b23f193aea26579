// What is stored is what is loaded: sizes, segments, alignment, threads, buffered and direct.
#define XXH_INLINE_ALL
#include "vendor/xxhash/xxhash.h"

#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

constexpr size_t kKi = 1024;
constexpr size_t kMi = 1024 * kKi;

// Memory for a payload, in segments. `misalign` shifts it off the page boundary.
class Memory {
 public:
  Memory(size_t bytes, size_t misalign, const std::vector<size_t>& segments = {})
      : block_(static_cast<char*>(std::aligned_alloc(4096, (bytes + misalign + 2 * 4096) / 4096 * 4096)), &std::free),
        bytes_(bytes),
        start_(block_.get() + misalign) {
    size_t at = 0;
    for (const size_t segment : segments) {
      spans_.push_back({start_ + at, segment});
      at += segment;
    }
    if (segments.empty()) spans_.push_back({start_, bytes});
  }
  // In the order of the segments, laid out back to front.
  void reverse() { std::reverse(spans_.begin(), spans_.end()); }

  const std::vector<Span>& spans() const { return spans_; }
  size_t bytes() const { return bytes_; }
  void fill(const std::vector<char>& run) {
    size_t at = 0;
    for (const Span& span : spans_) {
      std::copy_n(run.data() + at, span.bytes, span.data);
      at += span.bytes;
    }
  }
  std::vector<char> run() const {
    std::vector<char> out;
    for (const Span& span : spans_) out.insert(out.end(), span.data, span.data + span.bytes);
    return out;
  }

 private:
  std::unique_ptr<char, decltype(&std::free)> block_;
  size_t bytes_;
  char* start_;
  std::vector<Span> spans_;
};

std::vector<uint64_t> blockSums(const std::vector<char>& payload, size_t block) {
  std::vector<uint64_t> sums;
  for (size_t at = 0; at < payload.size(); at += block) {
    sums.push_back(XXH3_64bits(payload.data() + at, std::min(block, payload.size() - at)));
  }
  return sums;
}

std::string hexOf(const std::vector<uint64_t>& sums) {
  std::string text;
  for (const uint64_t sum : sums) {
    char digits[17];
    (void)std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sum));
    text += digits;
  }
  return text;
}

bool takesDirect(const Directory& directory) {
  const std::string path = directory.path() + "/probe";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0666);
  const int error = fd < 0 ? errno : 0;
  if (fd >= 0) ::close(fd);
  ::unlink(path.c_str());
  if (fd < 0)
    std::fprintf(stderr, "NOT RUN: no direct I/O in %s: %s\n", directory.path().c_str(), std::strerror(error));
  return fd >= 0;
}

struct Way {
  bool direct;
  int threads;
  size_t misalign;
};

// Stores `payload` by one engine and loads it by another, and compares file, sums and memory.
void roundTrip(const Directory& directory, const Way& way, const std::vector<char>& payload,
               const std::vector<size_t>& segments, uint32_t sum_block, bool reversed = false) {
  check::about() = std::to_string(payload.size()) + " bytes, " + (way.direct ? "direct" : "buffered") + ", " +
                   std::to_string(way.threads) + " threads, misaligned by " + std::to_string(way.misalign) + ", " +
                   std::to_string(segments.size()) + " segments, blocks of " + std::to_string(sum_block);
  const std::string path = directory.chunk("round");
  const EngineOptions options = {.threads = way.threads, .slice_bytes = kMi, .direct = way.direct};
  const Via via = way.direct ? Via::kDirect : Via::kBuffered;
  const auto sums = sum_block == 0 ? std::vector<uint64_t>() : blockSums(payload, sum_block);

  Memory from(payload.size(), way.misalign, segments);
  if (reversed) from.reverse();
  from.fill(payload);
  Rig writer(options, std::make_shared<StrictFiles>());
  const Op writing = {Kind::kStore, path, from.spans(), 1, sum_block, 100, false, true};
  const Answer stored = writer.run(writing);
  CHECK_EQ(stored.outcome, Outcome::kDone);
  CHECK_EQ(stored.code, 0);
  CHECK_EQ(stored.bytes, payload.size());
  CHECK_EQ(stored.via, via);
  std::vector<char> header = headerOf(1);
  const std::string hex = hexOf(sums);
  std::copy(hex.begin(), hex.end(), header.begin() + 100);
  checkChunk(path, header, payload);
  CHECK_EQ(directory.names().size(), 2U);

  Memory into(payload.size(), way.misalign, segments);
  Rig reader(options, std::make_shared<StrictFiles>());
  const auto batch = reader.runBatch({Op{Kind::kExists, path, {}}, Op{Kind::kLoad, path, into.spans(), 0, sum_block}});
  CHECK_EQ(batch->answers[0].outcome, Outcome::kDone);
  CHECK_EQ(batch->answers[0].bytes, kHeaderBytes + payload.size());
  CHECK_EQ(batch->answers[1].outcome, Outcome::kDone);
  CHECK_EQ(batch->answers[1].bytes, payload.size());
  CHECK_EQ(batch->answers[1].via, via);
  CHECK(std::equal(header.begin(), header.end(), batch->header(1)));
  CHECK(into.run() == payload);
  CHECK(batch->sums == sums);
  check::about().clear();
}

std::vector<size_t> oddSegments(size_t count, size_t most, uint64_t seed) {
  Numbers numbers(seed);
  std::vector<size_t> segments(count);
  for (size_t& segment : segments) segment = 1 + numbers.below(most);
  return segments;
}

size_t total(const std::vector<size_t>& segments) {
  size_t bytes = 0;
  for (const size_t segment : segments) bytes += segment;
  return bytes;
}

void everySize(bool direct, bool on_disk) {
  const Directory directory(on_disk);
  if (direct && !takesDirect(directory)) return;
  constexpr size_t kSizes[] = {1,        4095,         4096,        4097,    64 * kKi - 1,
                               64 * kKi, 64 * kKi + 1, 4 * kMi - 1, 4 * kMi, 4 * kMi + 1};
  for (const size_t size : kSizes) {
    const auto payload = someBytes(size, size);
    for (const int threads : {1, 2, 8}) {
      for (const size_t misalign : {size_t{0}, size_t{4}}) {
        if (size > kMi && (misalign != 0) != (threads == 8)) continue;
        roundTrip(directory, {direct, threads, misalign}, payload, {}, size < kMi ? 4096 : kMi / 2);
      }
    }
  }
  const auto payload = someBytes(32 * kMi, 32);
  roundTrip(directory, {direct, 2, 0}, payload, {}, 4 * kMi);
  roundTrip(directory, {direct, 8, 8}, payload, {}, 0);
}

}  // namespace

TEST(everySizeBuffered) { everySize(false, false); }
TEST(everySizeDirectInMemory) { everySize(true, false); }
TEST(everySizeDirectOnDisk) { everySize(true, true); }

TEST(thousandsOfOddSegments) {
  for (const bool direct : {false, true}) {
    const Directory directory(direct);
    if (direct && !takesDirect(directory)) continue;
    const auto segments = oddSegments(1000, 5000, 6);
    const auto payload = someBytes(total(segments), 7);
    for (const int threads : {1, 2, 8})
      roundTrip(directory, {direct, threads, 0}, payload, segments, 256 * kKi, threads == 2);
  }
}

// Whole units in place, and behind the last one several pieces that together are less than a unit.
TEST(alignedSegmentsWithATailOfSeveralPieces) {
  const Directory directory(true);
  if (!takesDirect(directory)) return;
  for (const auto& segments :
       {std::vector<size_t>{4096, 50, 50}, std::vector<size_t>{8192, 1, 4094, 1}, std::vector<size_t>{4096, 4096, 100},
        std::vector<size_t>{100, 200, 300}, std::vector<size_t>{8192, 4096, 5000, 20},
        std::vector<size_t>{4096, 2000, 2096, 4096}}) {
    roundTrip(directory, {true, 1, 0}, someBytes(total(segments), 8), segments, 4096);
  }
  std::vector<size_t> pages(300, 4096);  // more than one call takes
  pages.push_back(17);
  pages.push_back(18);
  roundTrip(directory, {true, 2, 0}, someBytes(total(pages), 9), pages, 8192);
}

TEST(blocksThatAreNoWholeUnits) {
  for (const bool direct : {false, true}) {
    const Directory directory(direct);
    if (direct && !takesDirect(directory)) continue;
    roundTrip(directory, {direct, 4, 0}, someBytes(3 * kMi + 5, 10), {}, 100000);
  }
}

TEST(payloadOfNothing) {
  const Directory directory;
  for (const bool direct : {false, true}) {
    if (direct && !takesDirect(directory)) continue;
    roundTrip(directory, {direct, 2, 0}, {}, {}, 4096);
  }
}

TEST(manySmallChunksInOneBatch) {
  const Directory directory;
  const EngineOptions options = {.threads = 4, .slice_bytes = 64 * kKi};
  constexpr size_t kChunks = 500;
  std::vector<std::vector<char>> payloads;
  std::vector<std::vector<char>> targets;
  std::vector<Op> stores;
  std::vector<Op> loads;
  Numbers numbers(11);
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    payloads.push_back(someBytes(1 + numbers.below(chunk % 50 == 0 ? 300 * kKi : 5000), chunk));
    targets.emplace_back(payloads.back().size());
  }
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    stores.push_back(store(directory.chunk(chunk), payloads[chunk], chunk));
    loads.push_back(load(directory.chunk(chunk), targets[chunk]));
    loads.push_back(exists(directory.chunk(chunk + 1000)));
  }
  Rig rig(options);
  for (const Answer& answer : rig.runBatch(stores)->answers) CHECK_EQ(answer.outcome, Outcome::kDone);
  const auto loaded = rig.runBatch(loads);
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    CHECK_EQ(loaded->answers[chunk * 2].outcome, Outcome::kDone);
    CHECK_EQ(loaded->answers[chunk * 2 + 1].outcome, Outcome::kAbsent);
    CHECK(targets[chunk] == payloads[chunk]);
    const auto header = headerOf(chunk);
    CHECK(std::equal(header.begin(), header.end(), loaded->header(chunk * 2)));
  }
  CHECK_EQ(rig.stat(Stat::kDirectoriesMade), 1U);
}
