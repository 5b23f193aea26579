// Files kept open for reading: how many, which, and that none outlives its file.
#include <sys/resource.h>

#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

// Chunks 0 to count - 1, all of one payload size.
void storeChunks(const Directory& directory, size_t count, size_t bytes = 1000) {
  Rig rig;
  for (size_t chunk = 0; chunk < count; ++chunk) {
    auto payload = someBytes(bytes, chunk);
    CHECK_EQ(rig.run(store(directory.chunk(chunk), payload, chunk)).outcome, Outcome::kDone);
  }
}

// Loads a chunk and checks that its bytes are those of `seed`.
void loadChunk(Rig& rig, const Directory& directory, size_t chunk, uint64_t seed, size_t bytes = 1000) {
  std::vector<char> into(bytes);
  CHECK_EQ(rig.run(load(directory.chunk(chunk), into)).outcome, Outcome::kDone);
  CHECK(into == someBytes(bytes, seed));
}

}  // namespace

TEST(cacheHoldsNoMoreThanItMay) {
  const Directory directory;
  storeChunks(directory, 50);
  for (const size_t most : {0, 1, 7, 100}) {
    const size_t descriptors = openDescriptors();
    {
      Rig rig({.threads = 4, .open_files = most});
      for (int round = 0; round < 2; ++round) {
        for (size_t chunk = 0; chunk < 50; ++chunk) loadChunk(rig, directory, chunk, chunk);
      }
      CHECK_EQ(openDescriptors(), descriptors + std::min<size_t>(most, 50));
      // What a full cache holds stays: the second round finds it.
      CHECK_EQ(rig.stat(Stat::kFilesReused), std::min<size_t>(most, 50));
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(leastRecentlyUsedIsClosedFirst) {
  const Directory directory;
  storeChunks(directory, 3);
  Rig rig({.threads = 1, .open_files = 2, .kept_open = std::chrono::nanoseconds(0)});
  loadChunk(rig, directory, 0, 0);
  loadChunk(rig, directory, 1, 1);
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(rig.stat(Stat::kFilesReused), 1U);
  loadChunk(rig, directory, 2, 2);  // 1 goes
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(rig.stat(Stat::kFilesReused), 2U);
  loadChunk(rig, directory, 1, 1);  // 2 goes
  CHECK_EQ(rig.stat(Stat::kFilesOpened), 4U);
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(rig.stat(Stat::kFilesReused), 3U);
}

TEST(removedChunkIsAMiss) {
  const Directory directory;
  storeChunks(directory, 2);
  std::vector<char> into(1000);
  Rig rig({.threads = 1});
  for (const size_t chunk : {0, 1}) {
    loadChunk(rig, directory, chunk, chunk);
    ::unlink(directory.chunk(chunk).c_str());
    if (chunk == 1) ::unlink((directory.chunk(chunk) + kSidecar).c_str());  // else its inode lives on
    CHECK_EQ(rig.run(load(directory.chunk(chunk), into)).outcome, Outcome::kAbsent);
  }
}

TEST(replacedChunkIsSeen) {
  const Directory directory;
  storeChunks(directory, 1);
  Rig rig({.threads = 1});
  Rig other;
  for (uint64_t version = 1; version < 10; ++version) {
    auto payload = someBytes(1000, version);
    Op op = store(directory.chunk(size_t{0}), payload, version);
    op.replace = true;
    CHECK_EQ((version % 2 == 0 ? rig : other).run(op).outcome, Outcome::kDone);
    loadChunk(rig, directory, 0, version);
    loadChunk(rig, directory, 0, version);
  }
}

TEST(chunkThatGrewOrShrankInPlaceIsNoHit) {
  const Directory directory;
  storeChunks(directory, 1);
  std::vector<char> into(1000);
  Rig rig({.threads = 1});
  loadChunk(rig, directory, 0, 0);
  for (const off_t size : {off_t{2000}, off_t{5000}, off_t{0}}) {
    CHECK_EQ(::truncate(directory.chunk(size_t{0}).c_str(), size), 0);
    const Answer answer = rig.run(load(directory.chunk(size_t{0}), into));
    CHECK_EQ(answer.outcome, Outcome::kSizeMismatch);
    CHECK_EQ(answer.bytes, static_cast<uint64_t>(size));
  }
}

// A sidecar linked after the file was opened raises the link count: no reason to open again.
TEST(sidecarThatAppearsChangesNothing) {
  const Directory directory;
  storeChunks(directory, 1);
  const std::string path = directory.chunk(size_t{0});
  ::unlink((path + kSidecar).c_str());
  Rig rig({.threads = 1});
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(::link(path.c_str(), (path + kSidecar).c_str()), 0);
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(rig.stat(Stat::kFilesReused), 1U);
  ::unlink(path.c_str());
  std::vector<char> into(1000);
  CHECK_EQ(rig.run(load(path, into)).outcome, Outcome::kAbsent);
}

// As an NFS server answers for a file that was removed under an open descriptor.
TEST(descriptorThatWentBadIsOpenedAnew) {
  const Directory directory;
  storeChunks(directory, 1);
  Rig rig({.threads = 1}, "fstat:EIO@2x1");
  loadChunk(rig, directory, 0, 0);
  loadChunk(rig, directory, 0, 0);
  CHECK_EQ(rig.stat(Stat::kFilesOpened), 2U);
}

TEST(outOfDescriptorsTheCacheGivesUpItsOwn) {
  const Directory directory;
  storeChunks(directory, 40);
  rlimit old{};
  CHECK_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  Rig rig({.threads = 1, .open_files = 1000});
  rlimit tight = old;
  tight.rlim_cur = openDescriptors() + 5;  // among them the one that counts them
  CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<char> into(1000);
  std::vector<Outcome> outcomes;
  for (size_t chunk = 0; chunk < 40; ++chunk) outcomes.push_back(rig.run(load(directory.chunk(chunk), into)).outcome);
  for (size_t chunk = 40; chunk < 60; ++chunk) {
    outcomes.push_back(rig.run(load(directory.chunk(chunk - 40), into)).outcome);
    outcomes.push_back(rig.run(store(directory.chunk(chunk), into)).outcome);
  }
  CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  for (const Outcome outcome : outcomes) CHECK_EQ(outcome, Outcome::kDone);
  CHECK_EQ(directory.temporaries(), 0U);
}

TEST(cacheTakesHalfOfTheDescriptorsAtMost) {
  const Directory directory;
  storeChunks(directory, 60);
  rlimit old{};
  CHECK_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit tight = old;
  tight.rlim_cur = 80;
  CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const size_t descriptors = openDescriptors();
  {
    Rig rig({.threads = 1, .open_files = 1000});
    for (size_t chunk = 0; chunk < 60; ++chunk) loadChunk(rig, directory, chunk, chunk);
    CHECK_EQ(openDescriptors(), descriptors + 40);
  }
  CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
}

TEST(outOfDescriptorsForGoodIsAFailure) {
  const Directory directory;
  storeChunks(directory, 1);
  std::vector<char> into(1000);
  Rig rig({.threads = 1}, "open:EMFILE");
  const Answer loaded = rig.run(load(directory.chunk(size_t{0}), into));
  CHECK_EQ(loaded.outcome, Outcome::kFailed);
  CHECK_EQ(loaded.code, EMFILE);
  const Answer stored = rig.run(store(directory.chunk(1), into));
  CHECK_EQ(stored.code, EMFILE);
  CHECK_EQ(stored.step, Step::kCreate);
}

TEST(directIoOutlastsAShortageOfDescriptors) {
  const Directory directory(true);
  const int fd = ::open(directory.path().c_str(), O_RDWR | O_TMPFILE | O_DIRECT, 0666);
  if (fd < 0) {
    std::fprintf(stderr, "NOT RUN: no direct I/O in %s\n", directory.path().c_str());
    return;
  }
  ::close(fd);
  storeChunks(directory, 1);
  std::vector<char> into(1000);
  Rig rig({.threads = 1, .direct = true}, "open:EMFILE@1x1");
  CHECK_EQ(rig.run(load(directory.chunk(size_t{0}), into)).via, Via::kDirect);
}

// Readers with a tiny cache, while chunks are replaced and removed by others: a hit is always one whole version.
TEST(hitsAreWholeWhileChunksComeAndGo) {
  const Directory directory;
  constexpr size_t kChunks = 6;
  constexpr size_t kBytes = 9000;
  const size_t descriptors = openDescriptors();
  {
    Rig readers({.threads = 4, .slice_bytes = 4096, .open_files = 3});
    Rig writers({.threads = 2, .slice_bytes = 4096});
    std::map<uint64_t, std::vector<char>> versions;
    for (uint64_t version = 0; version < 10; ++version) versions[version] = someBytes(kBytes, version);
    Numbers numbers(13);
    size_t hits = 0;
    for (int round = 0; round < 60; ++round) {
      std::vector<Op> writes;
      for (size_t chunk = 0; chunk < kChunks; ++chunk) {
        const uint64_t version = numbers.below(10);
        writes.push_back(store(directory.chunk(chunk), versions[version], version));
        writes.back().replace = true;
      }
      std::vector<std::vector<char>> targets(40, std::vector<char>(kBytes));
      std::vector<Op> reads;
      for (auto& target : targets) reads.push_back(load(directory.chunk(numbers.below(kChunks)), target));
      const auto writing = writers.submit(writes);
      const auto reading = readers.submit(reads);
      const std::string victim = directory.chunk(numbers.below(kChunks));
      ::unlink(victim.c_str());
      ::unlink((victim + kSidecar).c_str());
      readers.wait(reading);
      writers.wait(writing);
      for (const Answer& answer : writing->answers) CHECK_EQ(answer.outcome, Outcome::kDone);
      for (size_t read = 0; read < reads.size(); ++read) {
        if (reading->answers[read].outcome == Outcome::kAbsent) continue;
        CHECK_EQ(reading->answers[read].outcome, Outcome::kDone);
        ++hits;
        const auto version = std::find_if(versions.begin(), versions.end(), [&](const auto& one) {
          const auto header = headerOf(one.first);
          return std::equal(header.begin(), header.end(), reading->header(read));
        });
        CHECK(version != versions.end());
        CHECK(targets[read] == version->second);
      }
    }
    CHECK(hits > 0);
  }
  CHECK_EQ(openDescriptors(), descriptors);
}
