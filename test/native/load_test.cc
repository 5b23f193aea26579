// Files that are not what a load expects.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

TEST(fileOfAnotherSizeTellsItsSizeAndHeader) {
  const Directory directory;
  for (const bool direct : {false, true}) {
    for (const size_t size :
         {size_t{0}, size_t{1}, size_t{4095}, kHeaderBytes, kHeaderBytes + 999, kHeaderBytes + 1001, size_t{100000}}) {
      check::about() = std::to_string(size) + (direct ? " bytes, direct" : " bytes");
      const auto whole = someBytes(size, size);
      writeFile(directory.chunk(1), whole);
      std::vector<char> into(1000, 'u');
      const size_t descriptors = openDescriptors();
      {
        Rig rig({.threads = 1, .direct = direct, .open_files = 0});
        const auto batch = rig.runBatch({load(directory.chunk(1), into)});
        CHECK_EQ(batch->answers[0].outcome, Outcome::kSizeMismatch);
        CHECK_EQ(batch->answers[0].bytes, size);
        CHECK_EQ(batch->answers[0].code, 0);
        if (size >= kHeaderBytes) CHECK(std::equal(whole.begin(), whole.begin() + kHeaderBytes, batch->header(0)));
        CHECK(into == std::vector<char>(1000, 'u'));
      }
      CHECK_EQ(openDescriptors(), descriptors);
    }
  }
}

TEST(whatIsNoFileIsRefused) {
  const Directory directory;
  std::filesystem::create_directories(directory.chunk(1));
  CHECK_EQ(::mkfifo(directory.chunk(2).c_str(), 0666), 0);
  CHECK_EQ(::symlink("nowhere", directory.chunk(3).c_str()), 0);
  for (const size_t most : {size_t{0}, size_t{10}}) {
    const size_t descriptors = openDescriptors();
    {
      std::vector<char> bytes(1000);
      Rig rig({.threads = 1, .open_files = most});
      for (const size_t chunk : {1, 2}) {
        check::about() = chunk == 1 ? "directory" : "FIFO";
        for (const Op& op : {load(directory.chunk(chunk), bytes), exists(directory.chunk(chunk)),
                             store(directory.chunk(chunk), bytes)}) {
          const Answer answer = rig.run(op);
          CHECK_EQ(answer.outcome, Outcome::kFailed);
          CHECK_EQ(answer.code, EISDIR);
        }
        Op replacing = store(directory.chunk(chunk), bytes);
        replacing.replace = true;
        if (chunk == 1) CHECK_EQ(rig.run(replacing).outcome, Outcome::kFailed);
      }
      CHECK_EQ(rig.run(load(directory.chunk(3), bytes)).outcome, Outcome::kAbsent);
      CHECK_EQ(rig.run(exists(directory.chunk(3))).outcome, Outcome::kAbsent);
      CHECK_EQ(directory.temporaries(), 0U);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(fileThatEndsEarlyIsNoHit) {
  const Directory directory;
  auto payload = someBytes(50000, 1);
  Rig().run(store(directory.chunk(1), payload));
  for (const std::string faults :
       {"preadv:eof", "preadv:eof@2", "preadv:eof@4", "preadv:short=2000@1x1;preadv:eof@2"}) {
    check::about() = faults;
    std::vector<char> into(payload.size());
    Rig rig({.threads = 1, .slice_bytes = 8192}, faults);
    const Answer answer = rig.run(load(directory.chunk(1), into));
    CHECK_EQ(answer.outcome, Outcome::kSizeMismatch);
    CHECK_EQ(answer.code, 0);
  }
}

TEST(fileCutShortWhileItIsReadIsNoHit) {
  const Directory directory(true);
  for (const bool direct : {false, true}) {
    auto payload = someBytes(50000, 1);
    Op op = store(directory.chunk(1), payload);
    op.replace = true;
    Rig().run(op);
    const auto gate = kvo::gate("preadv", 3);
    Rig rig({.threads = 1, .slice_bytes = 8192, .direct = direct}, gated(gate));
    std::vector<char> into(payload.size());
    const auto batch = rig.submit({load(directory.chunk(1), into)});
    gate->waitUntilReached();
    CHECK_EQ(::truncate(directory.chunk(1).c_str(), 9000), 0);
    gate->open();
    rig.wait(batch);
    CHECK_EQ(batch->answers[0].outcome, Outcome::kSizeMismatch);
    CHECK_EQ(batch->answers[0].bytes, 9000U);
  }
}

TEST(headerAloneCanBeLoaded) {
  const Directory directory;
  writeFile(directory.chunk(1), headerOf(5));
  std::vector<char> nothing;
  Rig rig;
  const auto batch = rig.runBatch({load(directory.chunk(1), nothing)});
  CHECK_EQ(batch->answers[0].outcome, Outcome::kDone);
  const auto header = headerOf(5);
  CHECK(std::equal(header.begin(), header.end(), batch->header(0)));
}
