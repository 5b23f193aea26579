// System calls that hung come back late and do no harm; closing files may hang; and what comes back is as before.
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

// A late write must not go to whichever file has got the descriptor's number meanwhile.
TEST(lateWriteReachesNoOtherFile) {
  const Directory directory;
  auto first = someBytes(8192, 1);
  auto second = someBytes(8192, 2);
  const auto late = gate("pwritev", 1);
  Rig hanging({.threads = 1, .timeout = kShort}, gated(late));
  CHECK_EQ(hanging.run(store(directory.chunk(1), first)).outcome, Outcome::kStuck);

  // The other store has written its payload and is about to be measured.
  const auto verify = gate("fstat", 1);
  Rig other({.threads = 1}, gated(verify));
  const auto storing = other.submit({store(directory.chunk(2), second, 2)});
  verify->waitUntilReached();
  late->open();
  hanging.destroyEngine();
  hanging.waitUntilBack();
  verify->open();
  other.wait(storing);
  CHECK_EQ(storing->answers[0].outcome, Outcome::kDone);
  checkChunk(directory.chunk(2), headerOf(2), second);
  CHECK_EQ(directory.names().size(), 2U);
}

TEST(lateReadTouchesOnlyItsOwnMemory) {
  const Directory directory;
  auto payload = someBytes(8192, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  const auto gate = kvo::gate("preadv", 1);
  std::vector<char> lost(payload.size());
  std::vector<char> into(payload.size());
  Rig rig({.threads = 1, .timeout = kShort}, gated(gate));
  CHECK_EQ(rig.run(load(directory.chunk(1), lost)).outcome, Outcome::kStuck);
  // The descriptor that hangs is not used again.
  CHECK_EQ(rig.run(load(directory.chunk(1), into)).outcome, Outcome::kDone);
  CHECK_EQ(rig.stat(Stat::kFilesReused), 0U);
  CHECK(into == payload);
  into.assign(into.size(), 'u');
  gate->open();
  waitUntil([&] { return rig.engine().stuck().empty(); });
  CHECK(into == std::vector<char>(payload.size(), 'u'));
}

// Its number must not become another file's while the call may still begin.
TEST(descriptorOfAHangingReadStaysOpen) {
  const Directory directory;
  auto payload = someBytes(8192, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  const auto gate = kvo::gate("preadv", 1);
  std::vector<char> lost(payload.size());
  const size_t descriptors = openDescriptors();
  Rig rig({.threads = 1, .open_files = 0, .timeout = kShort}, gated(gate));
  CHECK_EQ(rig.run(load(directory.chunk(1), lost)).outcome, Outcome::kStuck);
  CHECK_EQ(openDescriptors(), descriptors + 1);
  gate->open();
  waitUntil([&] { return openDescriptors() == descriptors; });
}

// Closing files can hang as well, where a network filesystem flushes or a FUSE daemon is gone.
TEST(hangingCloseOfAReadFileIsStuckToo) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig first;
  for (const size_t chunk : {1, 2}) first.run(store(directory.chunk(chunk), payload, 1));
  std::vector<char> into(payload.size());
  for (const size_t most : {0, 1}) {
    const auto gate = kvo::gate("close", 1);
    Rig rig({.threads = 1, .open_files = most, .timeout = kShort}, gated(gate));
    const auto batch = rig.runBatch({load(directory.chunk(1), into), load(directory.chunk(2), into)});
    CHECK_EQ(batch->answers[most].outcome, Outcome::kStuck);  // one file kept open: the second pushes it out
    CHECK_EQ(batch->answers[1 - most].outcome, Outcome::kDone);
    gate->open();
    rig.destroyEngine();
    rig.waitUntilBack();
  }
  std::vector<char> longer(payload.size() + 1);  // not what the file holds
  const auto gate = kvo::gate("close", 1);
  Rig rig({.threads = 1, .open_files = 0, .timeout = kShort}, gated(gate));
  CHECK_EQ(rig.run(load(directory.chunk(1), longer)).outcome, Outcome::kStuck);
  gate->open();
  rig.destroyEngine();
  rig.waitUntilBack();
}

TEST(closeIsBoundedThoughClosingTheCachedFilesHangs) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  std::vector<char> into(payload.size());
  const auto gate = kvo::gate("close", 1);
  Rig rig({.threads = 3, .timeout = kShort}, gated(gate));
  rig.run(load(directory.chunk(1), into));
  std::atomic<int> closed{0};
  rig.engine().close([&] { ++closed; });
  rig.engine().join();
  CHECK_EQ(closed.load(), 1);
  CHECK_EQ(rig.engine().stuck().size(), 1U);
  CHECK_EQ(rig.engine().stuck()[0], "close of files kept open after 250 ms");
  gate->open();
  rig.destroyEngine();
  rig.waitUntilBack();
}

// Past a number of hanging threads nothing more is begun, until they come back.
TEST(wedgedFilesystemTakesNoMoreThreadsAndHeals) {
  const Directory directory;
  const auto gate = kvo::gate("", 1);
  const auto files = hooked([gate](const FileCall& call) {
    if (call.path.find("hang") != std::string::npos) gate->block();
    return 0;
  });
  Rig rig({.threads = 1, .timeout = std::chrono::milliseconds(20)}, files);
  for (int hung = 0; hung < 4; ++hung) CHECK_EQ(rig.run(exists(directory.chunk("hang"))).outcome, Outcome::kStuck);
  CHECK_EQ(rig.engine().stuck().size(), 4U);
  const Answer refused = rig.run(exists(directory.chunk("hang")));
  CHECK_EQ(refused.outcome, Outcome::kFailed);
  CHECK_EQ(refused.code, ETIMEDOUT);
  CHECK_EQ(rig.engine().stuck().size(), 4U);
  gate->open();
  waitUntil([&] { return rig.engine().stuck().empty(); });
  waitUntil([&] { return rig.run(exists(directory.chunk(1))).outcome == Outcome::kAbsent; });
}

// Ctrl-Z, a frozen container or a virtual machine that moves: no call hung, though each took long by the clock.
TEST(stoppedProcessFindsNothingStuck) {
  const Directory directory;
  const auto gate = kvo::gate("stat", 1);
  int ready[2];
  CHECK_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto batch = batchOf({exists(directory.chunk(1))});
    Settlements settled;
    Engine engine({.threads = 1, .timeout = std::chrono::seconds(2)}, gated(gate),
                  [&](const auto& one) { settled.add(one); });
    engine.submit(batch);
    gate->waitUntilReached();
    // Sees the clock jump when it is let go on, and lets the call return at once.
    int64_t before = coarseNow();
    const bool told = ::write(ready[1], "r", 1) == 1;
    for (int64_t now = coarseNow(); now - before < 1000000000 && settled.times(batch) == 0; now = coarseNow()) {
      before = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    gate->open();
    ::_exit(told && settled.wait(batch) && batch->answers[0].outcome == Outcome::kAbsent ? 0 : 1);
  }
  char byte = 0;
  CHECK_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(3));
  ::kill(child, SIGCONT);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  ::close(ready[0]);
  ::close(ready[1]);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}
