// Each system call failing: what is answered, and that nothing is visible, left behind or leaked.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

const std::map<std::string, int> kErrors = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
                                            {"EROFS", EROFS},   {"EACCES", EACCES}, {"EPERM", EPERM},
                                            {"EINVAL", EINVAL}, {"ENOSYS", ENOSYS}};
const std::vector<std::string> kOfWrites = {"EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES"};

struct Fault {
  std::string call;  // and which one: "pwritev@2"
  Step step;         // that the failure names
  bool sync = false;
  bool direct = false;
  std::string besides = {};  // further rules
};

std::string rule(const Fault& fault, const std::string& error) {
  const auto at = fault.call.find('@');
  const std::string nth = at == std::string::npos ? "@1" : fault.call.substr(at);
  return fault.call.substr(0, at) + ':' + error + nth + "x1" + (fault.besides.empty() ? "" : ';' + fault.besides);
}

bool takesDirect(const Directory& directory) {
  const int fd = ::open(directory.path().c_str(), O_RDWR | O_TMPFILE | O_DIRECT, 0666);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

}  // namespace

TEST(failedStoreIsNotVisibleAndLeavesNothing) {
  const std::vector<Fault> faults = {
      {"open", Step::kCreate},
      {"mkdir", Step::kMakeDirectory},
      {"mkdir@2", Step::kMakeDirectory},
      {"mkdir@3", Step::kMakeDirectory},
      {"pwritev", Step::kWrite},
      {"pwritev@2", Step::kWrite},
      {"pwritev@5", Step::kWrite},  // the header's
      {"fsync", Step::kSync, true},
      {"fstat", Step::kVerify},
      {"close", Step::kClose},
      {"link", Step::kPublish},
      {"rename", Step::kPublish, false, false, "link:EPERM"},
      {"ftruncate", Step::kTruncate, false, true},
  };
  auto payload = someBytes(4 * 8192 - 100, 1);
  for (const Fault& fault : faults) {
    for (const std::string& error : kOfWrites) {
      check::about() = rule(fault, error);
      const Directory directory;
      if (fault.direct && !takesDirect(directory)) {
        std::fprintf(stderr, "NOT RUN: %s, for want of direct I/O\n", fault.call.c_str());
        continue;
      }
      const size_t descriptors = openDescriptors();
      {
        Rig rig({.threads = 1, .slice_bytes = 8192, .direct = fault.direct}, check::about());
        Op op = store(directory.chunk(1), payload, 1);
        op.sync = fault.sync;
        const Answer answer = rig.run(op);
        CHECK_EQ(answer.outcome, Outcome::kFailed);
        CHECK_EQ(answer.code, kErrors.at(error));
        CHECK_EQ(answer.step, fault.step);
        CHECK_EQ(rig.stat(Stat::kFailures), 1U);
        CHECK_EQ(directory.names().size(), 0U);
        // The engine goes on.
        CHECK_EQ(rig.run(op).outcome, Outcome::kDone);
        checkChunk(directory.chunk(1), headerOf(1), payload);
        CHECK_EQ(directory.names().size(), 2U);
      }
      CHECK_EQ(openDescriptors(), descriptors);
    }
  }
}

// What the filesystem says it wrote, and what it has, are two things.
TEST(fileThatDidNotGrowAsItShouldIsNotPublished) {
  auto payload = someBytes(10000, 1);
  for (const off_t bytes : {off_t{0}, off_t{kHeaderBytes}, off_t{14095}, off_t{14097}}) {
    const Directory directory;
    Rig rig({.threads = 1}, hooked([bytes](const FileCall& call) {
              return call.name == std::string("fstat") && ::ftruncate(call.fd, bytes) != 0 ? -EIO : 0;
            }));
    const Answer answer = rig.run(store(directory.chunk(1), payload));
    CHECK_EQ(answer.outcome, Outcome::kFailed);
    CHECK_EQ(answer.step, Step::kVerify);
    CHECK_EQ(directory.names().size(), 0U);
  }
}

TEST(failedLoadNamesItsStepAndIsNoHit) {
  const std::vector<Fault> faults = {{"open", Step::kOpen},
                                     {"fstat", Step::kStat},
                                     {"preadv", Step::kRead},
                                     {"preadv@2", Step::kRead},
                                     {"preadv@4", Step::kRead}};
  const Directory directory;
  auto payload = someBytes(4 * 8192, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  for (const Fault& fault : faults) {
    for (const std::string error : {"EIO", "EACCES", "EINVAL"}) {
      check::about() = rule(fault, error);
      const size_t descriptors = openDescriptors();
      {
        std::vector<char> into(payload.size());
        Rig rig({.threads = 1, .slice_bytes = 8192}, check::about());
        const Answer answer = rig.run(load(directory.chunk(1), into));
        CHECK_EQ(answer.outcome, Outcome::kFailed);
        CHECK_EQ(answer.code, kErrors.at(error));
        CHECK_EQ(answer.step, fault.step);
        CHECK_EQ(rig.run(load(directory.chunk(1), into)).outcome, Outcome::kDone);
        CHECK(into == payload);
      }
      CHECK_EQ(openDescriptors(), descriptors);
    }
  }
}

TEST(failedExistsIsNotAbsent) {
  const Directory directory;
  Rig rig({.threads = 1}, "stat:EIO@1x1;stat:EACCES@2x1");
  for (const int error : {EIO, EACCES}) {
    const Answer answer = rig.run(exists(directory.chunk(1)));
    CHECK_EQ(answer.outcome, Outcome::kFailed);
    CHECK_EQ(answer.step, Step::kStat);
    CHECK_EQ(answer.code, error);
  }
  CHECK_EQ(rig.run(exists(directory.chunk(1))).outcome, Outcome::kAbsent);
}

// The look before a store only saves the work: whether the chunk is there is decided when it is published.
TEST(storeDoesNotDependOnItsFirstLook) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig rig({.threads = 1}, "stat:EIO");
  CHECK_EQ(rig.run(store(directory.chunk(1), payload, 1)).outcome, Outcome::kDone);
  CHECK_EQ(rig.run(store(directory.chunk(1), payload, 2)).outcome, Outcome::kExists);
  checkChunk(directory.chunk(1), headerOf(1), payload);
  CHECK_EQ(directory.temporaries(), 0U);
}

TEST(existingChunkThatCannotBeReadFails) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  const std::vector<Fault> faults = {{"open", Step::kOpen}, {"fstat", Step::kStat}, {"preadv", Step::kRead}};
  for (const Fault& fault : faults) {
    check::about() = rule(fault, "EIO");
    const size_t descriptors = openDescriptors();
    {
      Rig rig({.threads = 1}, check::about());
      const Answer answer = rig.run(store(directory.chunk(1), payload, 2));
      CHECK_EQ(answer.outcome, Outcome::kFailed);
      CHECK_EQ(answer.step, fault.step);
      CHECK_EQ(answer.code, EIO);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

// The data file is what counts.
TEST(sidecarThatCannotBeMadeIsCountedAndMendedLater) {
  auto payload = someBytes(100, 1);
  for (const std::string faults : {"link:ENOSPC@2x1", "link:EPERM;open:ENOSPC@3x1", "link:EPERM;pwritev:ENOSPC@3x1",
                                   "link:EPERM;close:EIO@2x1", "link:EPERM;rename:EIO@2x1"}) {
    check::about() = faults;
    const Directory directory;
    const size_t descriptors = openDescriptors();
    {
      Rig rig({.threads = 1}, faults);
      CHECK_EQ(rig.run(store(directory.chunk(1), payload, 1)).outcome, Outcome::kDone);
      CHECK_EQ(rig.stat(Stat::kSidecarFailures), 1U);
      CHECK_EQ(directory.names().size(), 1U);
      CHECK_EQ(rig.run(store(directory.chunk(1), payload, 2)).outcome, Outcome::kExists);
      CHECK_EQ(rig.stat(Stat::kSidecarFailures), 1U);
      checkChunk(directory.chunk(1), headerOf(1), payload);
      CHECK_EQ(directory.names().size(), 2U);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(filesystemOutOfNamesDoesNotHangTheStore) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig rig({.threads = 1}, "open:EEXIST");
  const Answer answer = rig.run(store(directory.chunk(1), payload));
  CHECK_EQ(answer.outcome, Outcome::kFailed);
  CHECK_EQ(answer.step, Step::kCreate);
  CHECK_EQ(answer.code, EEXIST);
}

TEST(interruptedAndShortCallsAreGoneOnWith) {
  const auto payload = someBytes(70001, 1);
  for (const std::string faults : {"preadv:short=1000;pwritev:short=1000", "preadv:short=1;pwritev:short=4095@3",
                                   "preadv:EINTR@1x2;pwritev:EINTR@1x2;open:EINTR@1x1;fstat:EINTR@1x1;link:EINTR@1x1",
                                   "preadv:EAGAIN@2x3;pwritev:EAGAIN@1x3;stat:EINTR@1x1;unlink:EINTR@1x1",
                                   "mkdir:EINTR@1x1;fsync:EINTR@1x2;close:EINTR@1x1"}) {
    check::about() = faults;
    const Directory directory;
    const size_t descriptors = openDescriptors();
    {
      auto from = faults.find("short=1;") == std::string::npos ? payload : someBytes(5000, 2);
      std::vector<char> into(from.size());
      Rig rig({.threads = 2, .slice_bytes = 16384}, faults);
      Op op = store(directory.chunk(1), from, 1);
      op.sync = true;
      CHECK_EQ(rig.run(op).outcome, Outcome::kDone);
      checkChunk(directory.chunk(1), headerOf(1), from);
      const auto batch = rig.runBatch({load(directory.chunk(1), into)});
      CHECK_EQ(batch->answers[0].outcome, Outcome::kDone);
      CHECK(into == from);
      const auto header = headerOf(1);
      CHECK(std::equal(header.begin(), header.end(), batch->header(0)));
      if (faults.find("EINTR") != std::string::npos) CHECK(rig.stat(Stat::kRetries) > 0);
      CHECK_EQ(directory.names().size(), 2U);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(shortDirectCallsOfWholeUnitsAreGoneOnWith) {
  const Directory directory(true);
  if (!takesDirect(directory)) {
    std::fprintf(stderr, "NOT RUN: no direct I/O in %s\n", directory.path().c_str());
    return;
  }
  const size_t bytes = 16 * 4096 + 77;
  const std::unique_ptr<char, decltype(&std::free)> memory(static_cast<char*>(std::aligned_alloc(4096, 32 * 4096)),
                                                           &std::free);
  for (const size_t misalign : {0, 8}) {
    const auto payload = someBytes(bytes, misalign);
    std::copy(payload.begin(), payload.end(), memory.get() + misalign);
    const std::string path = directory.chunk(misalign);
    Rig rig({.threads = 2, .slice_bytes = 32768, .direct = true}, "preadv:short=4096;pwritev:short=8192");
    CHECK_EQ(rig.run(Op{Kind::kStore, path, {{memory.get() + misalign, bytes}}, 1}).outcome, Outcome::kDone);
    checkChunk(path, headerOf(1), payload);
    std::fill_n(memory.get(), 32 * 4096, '\0');
    const Answer answer = rig.run(Op{Kind::kLoad, path, {{memory.get() + misalign, bytes}}});
    CHECK_EQ(answer.outcome, Outcome::kDone);
    CHECK_EQ(answer.via, Via::kDirect);
    CHECK(std::equal(payload.begin(), payload.end(), memory.get() + misalign));
  }
}

TEST(directIoThatIsRefusedBecomesBuffered) {
  const Directory directory;
  auto payload = someBytes(70001, 1);
  std::vector<char> into(payload.size());
  const auto files = hooked([](const FileCall& call) {
    return call.name == std::string("open") && (call.flags & O_DIRECT) != 0 ? -EINVAL : 0;
  });
  Rig rig({.threads = 1, .direct = true}, files);
  const Answer stored = rig.run(store(directory.chunk(1), payload, 1));
  CHECK_EQ(stored.outcome, Outcome::kDone);
  CHECK_EQ(stored.via, Via::kBuffered);
  const Answer loaded = rig.run(load(directory.chunk(1), into));
  CHECK_EQ(loaded.outcome, Outcome::kDone);
  CHECK_EQ(loaded.via, Via::kBuffered);
  CHECK(into == payload);
  CHECK_EQ(rig.stat(Stat::kDirectRefused), 2U);
  CHECK_EQ(directory.names().size(), 2U);
}

// Any faults at any time, many threads: each operation answers once, and what is visible is whole.
TEST(whateverFailsNothingHalfIsVisible) {
  const std::vector<std::string> calls = {"open",  "close", "fstat",  "stat",  "preadv",   "pwritev",
                                          "fsync", "link",  "rename", "mkdir", "ftruncate"};
  const std::vector<std::string> errors = {"EIO",   "ENOSPC", "EPERM",  "ENOENT",
                                           "EINTR", "EINVAL", "EMFILE", "short=4096"};
  Numbers numbers(12);
  for (int round = 0; round < 150; ++round) {
    std::string faults;
    for (uint64_t rules = numbers.below(5); rules > 0; --rules) {
      faults += (faults.empty() ? "" : ";") + calls[numbers.below(calls.size())] + ':' +
                errors[numbers.below(errors.size())] + '@' + std::to_string(1 + numbers.below(20)) + 'x' +
                std::to_string(1 + numbers.below(5));
    }
    check::about() = "round " + std::to_string(round) + ": " + faults;
    const Directory directory;
    const size_t descriptors = openDescriptors();
    {
      constexpr size_t kChunks = 12;
      std::vector<std::vector<char>> payloads;
      std::vector<std::vector<char>> targets;
      std::vector<Op> ops;
      for (size_t chunk = 0; chunk < kChunks; ++chunk) {
        payloads.push_back(someBytes(1 + numbers.below(60000), chunk));
        targets.emplace_back(payloads.back().size());
      }
      for (size_t chunk = 0; chunk < kChunks; ++chunk) {
        Op op = store(directory.chunk(chunk), payloads[chunk], chunk);
        op.sync = numbers.below(3) == 0;
        op.replace = numbers.below(3) == 0;
        ops.push_back(op);
        ops.push_back(load(directory.chunk(chunk), targets[chunk]));
        ops.push_back(exists(directory.chunk(chunk)));
      }
      Rig rig({.threads = 3, .slice_bytes = 16384, .open_files = numbers.below(4)}, faults);
      const auto batch = rig.runBatch(ops);
      for (size_t chunk = 0; chunk < kChunks; ++chunk) {
        const Answer& stored = batch->answers[chunk * 3];
        const Answer& loaded = batch->answers[chunk * 3 + 1];
        CHECK(stored.outcome == Outcome::kDone || stored.outcome == Outcome::kFailed ||
              stored.outcome == Outcome::kExists);
        CHECK_EQ(stored.outcome == Outcome::kFailed, stored.code != 0);
        CHECK_EQ(present(directory.chunk(chunk)), stored.outcome != Outcome::kFailed);
        if (present(directory.chunk(chunk))) {
          std::vector<char> whole = headerOf(chunk);
          whole.insert(whole.end(), payloads[chunk].begin(), payloads[chunk].end());
          CHECK(readFile(directory.chunk(chunk)) == whole);
        }
        CHECK(loaded.outcome == Outcome::kDone || loaded.outcome == Outcome::kAbsent ||
              loaded.outcome == Outcome::kFailed);
        if (loaded.outcome == Outcome::kDone) CHECK(targets[chunk] == payloads[chunk]);
      }
      CHECK_EQ(directory.temporaries(), 0U);
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(faultsThatDoNotParseAreRefused) {
  for (const std::string text : {"open", "open:", "opem:EIO", "open:EWHAT", "open:EIO@0", "open:EIO@1y2",
                                 "open:EIO@1x2z", ":EIO", "open:EIO;nonsense"}) {
    check::about() = text;
    CHECK(faultyFiles(posixFiles(), text) == nullptr);
  }
  CHECK(faultyFiles(posixFiles(), "") != nullptr);
  CHECK(faultyFiles(posixFiles(), "open:EIO@2x3;preadv:eof;close:delay=5@1x1;pwritev:short=10@4") != nullptr);
}
