// System calls that hang past the deadline: what is answered, and what goes on without them.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

// Chunk 10 is there and has no sidecar; chunk 11 is there and whole.
void prepare(const Directory& directory, std::vector<char>& payload) {
  Rig rig;
  for (const size_t chunk : {10, 11}) rig.run(store(directory.chunk(chunk), payload, 1));
  ::unlink((directory.chunk(10) + kSidecar).c_str());
}

struct Hang {
  const char* call;
  int nth;
  Op op;
  bool sliced = false;  // happens only where the payload is more than a slice
};

std::vector<Hang> hangs(const Directory& directory, std::vector<char>& payload, std::vector<char>& into) {
  Op synced = store(directory.chunk(1), payload, 1);
  synced.sync = true;
  Op replacing = store(directory.chunk(11), payload, 1);
  replacing.replace = true;
  const Op storing = store(directory.chunk(1), payload, 1);
  const Op again = store(directory.chunk(10), payload, 1);  // its sidecar is missing
  const Op loading = load(directory.chunk(11), into);
  const Op probing = {Kind::kProbe, directory.path(), {}};
  return {
      {"stat", 1, exists(directory.chunk(11))},
      {"stat", 1, storing},
      {"open", 1, storing},
      {"pwritev", 1, storing},
      {"pwritev", 2, storing},
      {"pwritev", 4, storing, true},  // the header
      {"fsync", 1, synced},
      {"fstat", 1, storing},
      {"close", 1, storing},
      {"link", 1, storing},
      {"link", 2, storing},
      {"unlink", 1, storing},
      {"rename", 1, replacing},
      {"rename", 2, replacing},  // the sidecar's
      {"link", 1, replacing},
      {"link", 2, replacing},  // the sidecar's, over a stale one
      {"unlink", 1, replacing},
      {"open", 1, again},
      {"fstat", 1, again},
      {"preadv", 1, again},
      {"close", 1, again},
      {"stat", 2, again},
      {"link", 1, again},
      {"open", 1, loading},
      {"fstat", 1, loading},
      {"preadv", 1, loading},
      {"preadv", 2, loading, true},
      {"preadv", 3, loading, true},
      {"open", 1, probing},
      {"close", 1, probing},
      {"link", 1, probing},
      {"unlink", 1, probing},
      {"open", 2, probing},
      {"pwritev", 1, probing},
      {"preadv", 1, probing},
      {"close", 2, probing},
      {"unlink", 2, probing},
  };
}

// One hanging call, on its way.
class Hanging {
 public:
  Hanging(size_t at, size_t bytes) : payload_(someBytes(bytes, 1)), into_(bytes) {
    prepare(directory_, payload_);
    hang_ = std::make_unique<Hang>(hangs(directory_, payload_, into_)[at]);
    what_ = std::string(hang_->call) + " " + std::to_string(hang_->nth) + " of kind " +
            std::to_string(static_cast<int>(hang_->op.kind)) + ", " + std::to_string(bytes) + " bytes";
  }
  bool possible() const { return !hang_->sliced || payload_.size() > kSlice; }

  void begin() {
    gate_ = gate(hang_->call, hang_->nth);
    rig_ = std::make_unique<Rig>(EngineOptions{.threads = 1, .slice_bytes = kSlice, .open_files = 0, .timeout = kShort},
                                 gated(gate_));
    // The rest is of the same lane, or it would go first.
    std::vector<Op> ops = {hang_->op};
    for (size_t chunk = 20; chunk < 25; ++chunk) {
      ops.push_back(hang_->op.kind == Kind::kStore ? store(directory_.chunk(chunk), small_, 2)
                                                   : exists(directory_.chunk(11)));
    }
    batch_ = rig_->submit(ops);
  }
  // Its operation alone is stuck, the rest of its thread's range completes, and the engine goes on.
  void checkSettled() {
    check::about() = what_;
    rig_->wait(batch_);
    CHECK(gate_->reached());
    CHECK_EQ(batch_->answers[0].outcome, Outcome::kStuck);
    CHECK_EQ(batch_->answers[0].code, ETIMEDOUT);
    CHECK(batch_->stuck.load());
    for (size_t other = 1; other < batch_->count; ++other) CHECK_EQ(batch_->answers[other].outcome, Outcome::kDone);
    CHECK_EQ(rig_->stat(Stat::kStuck), 1U);
    const auto stuck = rig_->engine().stuck();
    CHECK_EQ(stuck.size(), 1U);
    CHECK_EQ(stuck[0], std::string(hang_->call) + " of " + hang_->op.path + " after 250 ms");
    std::vector<char> again(payload_.size());
    CHECK_EQ(rig_->run(load(directory_.chunk(10), again)).outcome, Outcome::kDone);
    CHECK(again == payload_);
  }
  // Let go after the engine is gone, the call leaves no temporary file; what is visible is whole.
  void checkLateReturn() {
    check::about() = what_;
    rig_->destroyEngine();
    gate_->open();
    rig_->waitUntilBack();
    batch_.reset();
    rig_.reset();
    CHECK_EQ(directory_.temporaries(), 0U);
    std::vector<char> whole = headerOf(1);
    whole.insert(whole.end(), payload_.begin(), payload_.end());
    for (const size_t chunk : {1, 10, 11}) {
      CHECK(!present(directory_.chunk(chunk)) || readFile(directory_.chunk(chunk)) == whole);
    }
  }

 private:
  static constexpr size_t kSlice = 8192;
  const Directory directory_;
  std::vector<char> payload_;
  std::vector<char> into_;
  std::vector<char> small_ = someBytes(100, 2);
  std::unique_ptr<Hang> hang_;
  std::string what_;
  std::shared_ptr<Gate> gate_;
  std::unique_ptr<Rig> rig_;
  std::shared_ptr<Batch> batch_;
};

}  // namespace

// Small payloads go with their neighbours in one range, large ones in slices.
TEST(hangingCallCostsItsOperationAlone) {
  std::vector<char> none;
  const size_t count = hangs(Directory(), none, none).size();
  const size_t descriptors = openDescriptors();
  std::vector<std::unique_ptr<Hanging>> group;  // some at once, for each takes its time
  for (size_t at = 0; at < count * 2; ++at) {
    auto one = std::make_unique<Hanging>(at % count, at < count ? 200 : 3 * 8192 - 5);
    if (one->possible()) group.push_back(std::move(one));
    if (group.size() < 12 && at + 1 < count * 2) continue;
    for (const auto& each : group) each->begin();
    for (const auto& each : group) each->checkSettled();
    for (const auto& each : group) each->checkLateReturn();
    group.clear();
    waitUntil([&] { return openDescriptors() == descriptors; });
  }
}

// A single thread, slices left that nobody else was offered: someone must account for them.
TEST(slicesBehindAHangingOneAreAccountedFor) {
  const Directory directory;
  auto payload = someBytes(10 * 4096, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  for (const int threads : {1, 2, 3}) {
    for (const bool loads : {true, false}) {
      const auto gate = kvo::gate(loads ? "preadv" : "pwritev", 2);
      std::vector<char> into(payload.size());
      Rig rig({.threads = threads, .slice_bytes = 4096, .timeout = kShort}, gated(gate));
      const Answer answer = rig.run(loads ? load(directory.chunk(1), into) : store(directory.chunk(2), payload));
      CHECK_EQ(answer.outcome, Outcome::kStuck);
      CHECK(!present(directory.chunk(2)));
      gate->open();
      rig.destroyEngine();
      rig.waitUntilBack();
    }
  }
  CHECK_EQ(directory.temporaries(), 0U);
}

// One slice hangs, another is merely slow: the batch settles when that one is done with the memory.
TEST(stuckOperationWaitsForItsOtherSlices) {
  const Directory directory;
  auto payload = someBytes(2 * 8000, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  const auto gate = kvo::gate("");
  std::atomic<int> slow{0};
  auto files = hooked(
      [&, gate](const FileCall& call) {
        if (std::string(call.name) != "preadv") return 0;
        if (call.offset < static_cast<off_t>(kHeaderBytes + 8192)) {
          gate->block();
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
          ++slow;
        }
        return 0;
      },
      faultyFiles(posixFiles(), "preadv:short=1000"));
  std::vector<char> into(payload.size());
  Rig rig({.threads = 2, .slice_bytes = 8192, .timeout = kShort}, std::move(files));
  CHECK_EQ(rig.run(load(directory.chunk(1), into)).outcome, Outcome::kStuck);
  CHECK_EQ(slow.load(), 8);
  CHECK(std::equal(payload.begin() + 8192, payload.end(), into.begin() + 8192));
  gate->open();
  rig.destroyEngine();
  rig.waitUntilBack();
}

// The memory may still be written to: that outweighs an error or an abort that came first.
TEST(stuckIsToldEvenIfTheOperationHadFailedAlready) {
  const Directory directory;
  auto payload = someBytes(2 * 8192, 1);
  Rig().run(store(directory.chunk(1), payload, 1));
  for (const bool aborts : {false, true}) {
    const auto gate = kvo::gate("", 1);
    auto files = hooked([gate, aborts](const FileCall& call) {
      if (std::string(call.name) != "preadv") return 0;
      if (call.offset > 0) {
        gate->block();
        return 0;
      }
      gate->waitUntilReached();  // both slices are under way
      return aborts ? 0 : -EIO;
    });
    std::vector<char> into(payload.size());
    Rig rig({.threads = 2, .slice_bytes = 8192, .timeout = kShort}, std::move(files));
    const auto batch = rig.submit({load(directory.chunk(1), into)});
    gate->waitUntilReached();
    if (aborts) rig.engine().abort(batch);
    rig.wait(batch);
    CHECK_EQ(batch->answers[0].outcome, Outcome::kStuck);
    gate->open();
    rig.destroyEngine();
    rig.waitUntilBack();
  }
}

// What a hanging thread had before it goes back to the queue while the engine closes: it is answered all the same.
TEST(closeWithAHangingThreadSettlesTheRestOfItsRange) {
  const Directory directory;
  auto payload = someBytes(1000, 1);
  for (int round = 0; round < 15; ++round) {
    const auto gate = kvo::gate(round % 2 == 0 ? "stat" : "pwritev", 1);
    Rig rig({.threads = 1, .slice_bytes = 4096, .timeout = std::chrono::milliseconds(20)}, gated(gate));
    const auto batch = rig.submit({store(directory.chunk(1), payload), store(directory.chunk(2), payload),
                                   store(directory.chunk(3), payload), store(directory.chunk(4), payload)});
    gate->waitUntilReached();
    std::atomic<int> closed{0};
    rig.engine().close([&] { ++closed; });
    rig.engine().join();
    CHECK_EQ(closed.load(), 1);
    CHECK(rig.settled(batch));
    CHECK_EQ(batch->answers[0].outcome, Outcome::kStuck);
    gate->open();
    rig.destroyEngine();
    rig.waitUntilBack();
    CHECK_EQ(directory.temporaries(), 0U);
  }
}

TEST(callbackOfAStuckBatchMayUseTheEngine) {
  const Directory directory;
  const auto gate = kvo::gate("stat", 1);
  Settlements settled;
  Engine* engine = nullptr;
  const auto first = batchOf({exists(directory.chunk(1))});
  const auto second = batchOf({exists(directory.chunk(2))});
  Engine owner({.threads = 1, .timeout = kShort}, gated(gate), [&](const std::shared_ptr<Batch>& batch) {
    if (batch == first) {
      (void)engine->stuck();
      engine->submit(second);
    }
    settled.add(batch);
  });
  engine = &owner;
  owner.submit(first);
  CHECK(settled.wait(first));
  CHECK(settled.wait(second));
  CHECK_EQ(first->answers[0].outcome, Outcome::kStuck);
  CHECK_EQ(second->answers[0].outcome, Outcome::kAbsent);
  gate->open();
  waitUntil([&] { return owner.stuck().empty(); });
}

// The faults that JavaScript's tests use: a delay before the real call, which then runs late.
TEST(delayedCallsBecomeStuckAndComeBack) {
  auto payload = someBytes(3 * 4096, 1);
  const std::vector<std::string> calls = {"stat", "open", "pwritev", "fstat", "link", "preadv"};
  const size_t descriptors = openDescriptors();
  {
    std::vector<std::vector<char>> into(calls.size(), std::vector<char>(payload.size()));
    std::vector<std::unique_ptr<Directory>> directories;
    std::vector<std::unique_ptr<Rig>> rigs;
    std::vector<std::shared_ptr<Batch>> batches;
    for (size_t at = 0; at < calls.size(); ++at) {
      directories.push_back(std::make_unique<Directory>());
      const Directory& directory = *directories[at];
      prepare(directory, payload);
      rigs.push_back(std::make_unique<Rig>(EngineOptions{.threads = 2, .slice_bytes = 4096, .timeout = kShort},
                                           calls[at] + ":delay=700@1x1"));
      batches.push_back(rigs[at]->submit({store(directory.chunk(1), payload, 1), load(directory.chunk(11), into[at]),
                                          exists(directory.chunk(11)), store(directory.chunk(2), payload, 2)}));
    }
    for (size_t at = 0; at < calls.size(); ++at) {
      check::about() = calls[at];
      rigs[at]->wait(batches[at]);
      size_t stuck = 0;
      for (const Answer& answer : batches[at]->answers) {
        if (answer.outcome == Outcome::kStuck) ++stuck;
        else CHECK_EQ(answer.outcome, Outcome::kDone);
      }
      CHECK_EQ(stuck, 1U);
    }
    for (size_t at = 0; at < calls.size(); ++at) {
      check::about() = calls[at];
      waitUntil([&] { return rigs[at]->engine().stuck().empty(); });
      rigs[at]->destroyEngine();
      rigs[at]->waitUntilBack();
      CHECK_EQ(directories[at]->temporaries(), 0U);
    }
  }
  waitUntil([&] { return openDescriptors() == descriptors; });
}
