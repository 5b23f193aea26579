// How a finished store becomes visible: data name, sidecar, and what was there before.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

bool sameFile(const std::string& one, const std::string& other) {
  return statOf(one).st_ino == statOf(other).st_ino && statOf(one).st_dev == statOf(other).st_dev;
}

bool headerIs(Batch& batch, size_t operation, uint64_t seed) {
  const auto header = headerOf(seed);
  return std::equal(header.begin(), header.end(), batch.header(operation));
}

}  // namespace

TEST(sidecarIsALinkOfTheDataAndNothingElseStays) {
  const Directory directory;
  auto payload = someBytes(10000, 1);
  Rig rig;
  CHECK_EQ(rig.run(store(directory.chunk(1), payload, 1)).outcome, Outcome::kDone);
  checkChunk(directory.chunk(1), headerOf(1), payload);
  CHECK(sameFile(directory.chunk(1), directory.chunk(1) + kSidecar));
  CHECK_EQ(statOf(directory.chunk(1)).st_nlink, 2U);
  CHECK_EQ(directory.names().size(), 2U);
}

TEST(existingChunkStandsAndItsHeaderIsTold) {
  const Directory directory;
  auto first = someBytes(10000, 1);
  auto second = someBytes(10000, 2);
  Rig rig;
  rig.run(store(directory.chunk(1), first, 1));
  const auto batch = rig.runBatch({store(directory.chunk(1), second, 2)});
  CHECK_EQ(batch->answers[0].outcome, Outcome::kExists);
  CHECK_EQ(batch->answers[0].bytes, kHeaderBytes + first.size());
  CHECK(headerIs(*batch, 0, 1));
  checkChunk(directory.chunk(1), headerOf(1), first);
  CHECK_EQ(directory.names().size(), 2U);
}

// The size of another shape, or of a file that is no chunk at all: for the caller to judge.
TEST(existingFileOfAnotherSizeIsToldWithItsSize) {
  const Directory directory;
  auto payload = someBytes(10000, 1);
  Rig rig;
  for (const size_t size : {size_t{0}, size_t{100}, kHeaderBytes, kHeaderBytes + 9999, kHeaderBytes + 10001}) {
    check::about() = std::to_string(size) + " bytes";
    const auto old = someBytes(size, 3);
    writeFile(directory.chunk(size), old);
    const auto batch = rig.runBatch({store(directory.chunk(size), payload, 1)});
    CHECK_EQ(batch->answers[0].outcome, Outcome::kExists);
    CHECK_EQ(batch->answers[0].bytes, size);
    auto header = old;
    header.resize(kHeaderBytes);
    CHECK(std::equal(header.begin(), header.end(), batch->header(0)));
    CHECK(readFile(directory.chunk(size)) == old);
    CHECK(!present(directory.chunk(size) + kSidecar));
  }
}

TEST(writerWhoComesSecondFindsTheFirst) {
  const Directory directory;
  auto first = someBytes(5000, 1);
  auto second = someBytes(5000, 2);
  // The other chunk appears after we looked and before we publish.
  const auto gate = kvo::gate("link");
  Rig slow({.threads = 1}, gated(gate));
  const auto batch = slow.submit({store(directory.chunk(1), second, 2)});
  gate->waitUntilReached();
  CHECK_EQ(Rig().run(store(directory.chunk(1), first, 1)).outcome, Outcome::kDone);
  gate->open();
  slow.wait(batch);
  CHECK_EQ(batch->answers[0].outcome, Outcome::kExists);
  CHECK(headerIs(*batch, 0, 1));
  checkChunk(directory.chunk(1), headerOf(1), first);
  CHECK_EQ(directory.names().size(), 2U);
}

// Other processes may evict what we find: then it is ours to store after all.
TEST(chunkThatVanishesUnderAStoreIsStored) {
  auto payload = someBytes(5000, 1);
  for (const bool at_first : {true, false}) {
    for (const size_t times : {size_t{1}, SIZE_MAX}) {
      check::about() =
          std::string(at_first ? "seen at first" : "met when publishing") + (times == 1 ? "" : ", for ever");
      if (at_first && times != 1) continue;
      const Directory directory;
      const std::string path = directory.chunk(1);
      std::filesystem::create_directories(directory.path() + "/12/34");
      size_t appearances = 0;
      const auto files = hooked([&](const FileCall& call) {
        const std::string name = call.name;
        const bool meets = at_first ? name == "stat" && call.path == path : name == "link" && call.to == path;
        if (meets && appearances < times) {
          ++appearances;
          writeFile(path, someBytes(9096, 2));
        }
        if (name == "open" && call.path == path) ::unlink(path.c_str());
        return 0;
      });
      Rig rig({.threads = 1}, files);
      const Answer answer = rig.run(store(path, payload, 1));
      if (times == 1) {
        CHECK_EQ(answer.outcome, Outcome::kDone);
        checkChunk(path, headerOf(1), payload);
      } else {
        CHECK_EQ(answer.outcome, Outcome::kFailed);
        CHECK_EQ(answer.code, ENOENT);
      }
      CHECK_EQ(directory.temporaries(), 0U);
    }
  }
}

TEST(replaceTakesTheNameAndTheSidecar) {
  const Directory directory;
  auto first = someBytes(10000, 1);
  auto second = someBytes(300, 2);
  std::vector<char> into(second.size());
  Rig rig;
  Op again = store(directory.chunk(1), second, 2);
  again.replace = true;
  CHECK_EQ(rig.run(again).outcome, Outcome::kDone);  // nothing to replace
  rig.run(load(directory.chunk(1), into));
  again = store(directory.chunk(1), first, 1);
  again.replace = true;
  CHECK_EQ(rig.run(again).outcome, Outcome::kDone);
  checkChunk(directory.chunk(1), headerOf(1), first);
  CHECK(sameFile(directory.chunk(1), directory.chunk(1) + kSidecar));
  CHECK_EQ(statOf(directory.chunk(1)).st_nlink, 2U);
  CHECK_EQ(directory.names().size(), 2U);
}

TEST(staleSidecarIsReplaced) {
  const Directory directory;
  auto payload = someBytes(10000, 1);
  writeFile(directory.chunk(1) + kSidecar, someBytes(kHeaderBytes, 9));
  writeFile(directory.chunk(2) + kSidecar, {'x'});
  Rig rig;
  for (const Answer& answer :
       rig.runBatch({store(directory.chunk(1), payload), store(directory.chunk(2), payload)})->answers) {
    CHECK_EQ(answer.outcome, Outcome::kDone);
  }
  CHECK(sameFile(directory.chunk(1), directory.chunk(1) + kSidecar));
  CHECK(sameFile(directory.chunk(2), directory.chunk(2) + kSidecar));
  CHECK_EQ(directory.names().size(), 4U);
}

TEST(missingSidecarIsMendedByTheNextStore) {
  const Directory directory;
  auto payload = someBytes(10000, 1);
  for (const std::string faults : {"", "link:EPERM"}) {
    const std::string path = directory.chunk("mended" + faults);
    Rig rig({}, faults);
    rig.run(store(path, payload, 1));
    CHECK_EQ(::unlink((path + kSidecar).c_str()), 0);
    CHECK_EQ(rig.run(store(path, payload, 2)).outcome, Outcome::kExists);
    checkChunk(path, headerOf(1), payload);
    CHECK_EQ(rig.stat(Stat::kSidecarFailures), 0U);
  }
  CHECK_EQ(directory.temporaries(), 0U);
}

TEST(withoutHardLinksTheSidecarIsAFileOfItsOwn) {
  for (const std::string error : {"EPERM", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"}) {
    check::about() = error;
    const Directory directory;
    auto first = someBytes(10000, 1);
    auto second = someBytes(10000, 2);
    Rig rig({}, "link:" + error);
    CHECK_EQ(rig.run(store(directory.chunk(1), first, 1)).outcome, Outcome::kDone);
    CHECK_EQ(rig.stat(Stat::kLinksRefused), 1U);
    checkChunk(directory.chunk(1), headerOf(1), first);
    CHECK_EQ(statOf(directory.chunk(1)).st_nlink, 1U);
    CHECK_EQ(statOf(directory.chunk(1) + kSidecar).st_size, static_cast<off_t>(kHeaderBytes));
    const auto batch = rig.runBatch({store(directory.chunk(1), second, 2)});
    CHECK_EQ(batch->answers[0].outcome, Outcome::kExists);
    CHECK(headerIs(*batch, 0, 1));
    Op again = store(directory.chunk(1), second, 2);
    again.replace = true;
    CHECK_EQ(rig.run(again).outcome, Outcome::kDone);
    checkChunk(directory.chunk(1), headerOf(2), second);
    CHECK_EQ(directory.names().size(), 2U);
  }
}

// Neither hard links nor a rename that refuses: a look before, which leaves a chink, but no harm in it.
TEST(withoutLinksAndCarefulRenamesAnExistingChunkStands) {
  for (const std::string error : {"EINVAL", "ENOSYS"}) {
    const Directory directory;
    auto payload = someBytes(10000, 1);
    Rig rig({}, "link:EPERM;rename:" + error + "@1x1");
    CHECK_EQ(rig.run(store(directory.chunk(1), payload, 1)).outcome, Outcome::kDone);
    checkChunk(directory.chunk(1), headerOf(1), payload);

    // Not there for the first look, there for the one before renaming.
    Rig second({}, "link:EPERM;stat:ENOENT@1x1;rename:" + error + "@1x1");
    CHECK_EQ(second.run(store(directory.chunk(1), payload, 2)).outcome, Outcome::kExists);
    checkChunk(directory.chunk(1), headerOf(1), payload);
    CHECK_EQ(directory.names().size(), 2U);
  }
}

TEST(ofTwoEnginesAtOneKeyOneStores) {
  for (const std::string faults : {"", "link:EPERM"}) {
    const Directory directory;
    const size_t keys = faults.empty() ? 1000 : 300;
    const size_t descriptors = openDescriptors();
    {
      auto one = someBytes(3000, 1);
      auto two = someBytes(3000, 2);
      std::vector<Op> ones;
      std::vector<Op> twos;
      for (size_t key = 0; key < keys; ++key) {
        ones.push_back(store(directory.chunk(key), one, 1));
        twos.push_back(store(directory.chunk(key), two, 2));
      }
      Rig first({.threads = 2}, faults);
      Rig second({.threads = 2}, faults);
      const auto by_first = first.submit(ones);
      const auto by_second = second.submit(twos);
      first.wait(by_first);
      second.wait(by_second);
      for (size_t key = 0; key < keys; ++key) {
        const bool won = by_first->answers[key].outcome == Outcome::kDone;
        CHECK_EQ(by_first->answers[key].outcome, won ? Outcome::kDone : Outcome::kExists);
        CHECK_EQ(by_second->answers[key].outcome, won ? Outcome::kExists : Outcome::kDone);
        CHECK(headerIs(won ? *by_second : *by_first, key, won ? 1 : 2));
        checkChunk(directory.chunk(key), headerOf(won ? 1 : 2), won ? one : two);
      }
      CHECK_EQ(directory.names().size(), keys * 2);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(directoriesAreMadeOnlyWhereMissing) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig rig;
  rig.run(store(directory.path() + "/12/34/one", payload));
  CHECK_EQ(rig.stat(Stat::kDirectoriesMade), 1U);
  rig.run(store(directory.path() + "/12/34/two", payload));
  CHECK_EQ(rig.stat(Stat::kDirectoriesMade), 1U);
  rig.run(store(directory.path() + "/12/56/three", payload));
  CHECK_EQ(rig.stat(Stat::kDirectoriesMade), 2U);

  Rig other({}, "mkdir:EIO");  // not even tried
  CHECK_EQ(other.run(store(directory.path() + "/12/34/four", payload)).outcome, Outcome::kDone);
}

// A cache whose mount has gone must not fill the disk below the mount point.
TEST(baseDirectoryIsNeverMade) {
  const Directory directory;
  const std::string base = directory.path() + "/base";
  auto payload = someBytes(100, 1);
  Rig rig;
  const Answer answer = rig.run(store(base + "/12/34/one", payload));
  CHECK_EQ(answer.outcome, Outcome::kFailed);
  CHECK_EQ(answer.step, Step::kMakeDirectory);
  CHECK_EQ(answer.code, ENOENT);
  CHECK(!present(base));
  std::vector<char> into(100);
  CHECK_EQ(rig.run(load(base + "/12/34/one", into)).outcome, Outcome::kAbsent);
  CHECK_EQ(rig.run(exists(base + "/12/34/one")).outcome, Outcome::kAbsent);
}

TEST(fileWhereADirectoryShouldBe) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  writeFile(directory.path() + "/12", {'x'});
  Rig rig;
  const Answer answer = rig.run(store(directory.chunk(1), payload));
  CHECK_EQ(answer.outcome, Outcome::kFailed);
  CHECK_EQ(answer.step, Step::kCreate);
  CHECK_EQ(answer.code, ENOTDIR);
  CHECK_EQ(rig.run(exists(directory.chunk(1))).outcome, Outcome::kAbsent);
}

// A file of an earlier process with our pid, or of another container's: it is not ours to touch.
TEST(temporaryNamesOfOthersAreLeftAlone) {
  for (const std::string faults : {"", "link:EPERM"}) {
    check::about() = faults;
    const Directory directory;
    auto payload = someBytes(100, 1);
    writeFile(directory.chunk(1) + kSidecar, {'s'});  // stale, so that a new one is moved over it
    std::vector<std::string> taken;
    // Each temporary name is taken just before we make it, but for every third.
    size_t names = 0;
    const auto files = hooked(
        [&](const FileCall& call) {
          const std::string name = call.name;
          const std::string& made = name == "link" ? call.to : call.path;
          const bool makes = name == "link" || (name == "open" && (call.flags & O_CREAT) != 0);
          if (makes && made.find("/.kvo-") != std::string::npos && ++names % 3 != 0) {
            taken.push_back(made);
            writeFile(made, {'x'});
          }
          return 0;
        },
        faultyFiles(posixFiles(), faults));
    Rig rig({.threads = 1}, files);
    CHECK_EQ(rig.run(store(directory.chunk(1), payload, 1)).outcome, Outcome::kDone);
    CHECK_EQ(rig.run(Op{Kind::kProbe, directory.path(), {}}).code, 0);
    CHECK_EQ(rig.stat(Stat::kSidecarFailures), 0U);
    checkChunk(directory.chunk(1), headerOf(1), payload);
    CHECK(taken.size() >= 6);
    for (const std::string& path : taken) CHECK(readFile(path) == std::vector<char>{'x'});
    CHECK_EQ(directory.names().size(), 2 + taken.size());
  }
}

TEST(probeTellsWhatWorksAndLeavesNothing) {
  const Directory directory;
  struct Case {
    std::string faults;
    int64_t refused;
    int direct;
    int links;
  };
  for (const Case& one :
       {Case{"", 0, 0, 0}, Case{"link:EPERM", 0, 0, EPERM}, Case{"open:EINVAL@2", 0, EINVAL, 0},
        Case{"open:EROFS", EROFS, 0, 0}, Case{"pwritev:EINVAL", 0, EINVAL, 0}, Case{"preadv:EIO", 0, EIO, 0}}) {
    check::about() = one.faults;
    const size_t descriptors = openDescriptors();
    {
      Rig rig({.threads = 1}, one.faults);
      const Answer answer = rig.run(Op{Kind::kProbe, directory.path(), {}});
      CHECK_EQ(answer.outcome, Outcome::kDone);
      CHECK_EQ(answer.code, one.refused);
      CHECK_EQ(static_cast<int>(answer.bytes & 0xffff), one.direct);
      CHECK_EQ(static_cast<int>(answer.bytes >> 16), one.links);
    }
    CHECK_EQ(directory.names().size(), 0U);
    CHECK_EQ(openDescriptors(), descriptors);
  }
  const Answer answer = Rig().run(Op{Kind::kProbe, directory.path() + "/absent", {}});
  CHECK_EQ(answer.code, ENOENT);
}
