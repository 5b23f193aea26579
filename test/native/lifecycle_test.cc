// Abort, close and destruction, with work queued and under way.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

std::vector<Op> storesOf(const Directory& directory, size_t count, std::vector<char>& payload) {
  std::vector<Op> ops;
  for (size_t chunk = 0; chunk < count; ++chunk) ops.push_back(store(directory.chunk(chunk), payload, 1));
  return ops;
}

size_t countOf(const Batch& batch, Outcome outcome) {
  return static_cast<size_t>(std::count_if(batch.answers.begin(), batch.answers.end(),
                                           [&](const Answer& answer) { return answer.outcome == outcome; }));
}

}  // namespace

TEST(abortDropsWhatIsQueuedAndWaitsForWhatIsUnderWay) {
  const Directory directory;
  auto payload = someBytes(8 * 4096, 1);
  const auto gate = kvo::gate("pwritev", 3);
  Rig rig({.threads = 1, .slice_bytes = 4096}, gated(gate));
  const auto batch = rig.submit(storesOf(directory, 20, payload));
  gate->waitUntilReached();
  rig.engine().abort(batch);
  rig.engine().abort(batch);
  CHECK(!rig.settled(batch));
  CHECK_EQ(batch->pending.load(), 1U);
  gate->open();
  rig.wait(batch);
  CHECK_EQ(countOf(*batch, Outcome::kAborted), 20U);
  CHECK_EQ(rig.stat(Stat::kAborted), 20U);
  CHECK_EQ(directory.names().size(), 0U);
  rig.engine().abort(batch);  // too late, and harmless
  CHECK_EQ(rig.run(store(directory.chunk(1), payload)).outcome, Outcome::kDone);
}

TEST(abortAfterTheLastSliceComesTooLate) {
  const Directory directory;
  auto payload = someBytes(8 * 4096, 1);
  const auto gate = kvo::gate("link");
  Rig rig({.threads = 1, .slice_bytes = 4096}, gated(gate));
  const auto batch = rig.submit({store(directory.chunk(1), payload)});
  gate->waitUntilReached();
  rig.engine().abort(batch);
  gate->open();
  rig.wait(batch);
  CHECK_EQ(batch->answers[0].outcome, Outcome::kDone);
  CHECK_EQ(directory.names().size(), 2U);
}

TEST(abortLeavesOtherBatchesAlone) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  const auto gate = kvo::gate("stat");
  Rig rig({.threads = 1}, gated(gate));
  const auto first = rig.submit({exists(directory.chunk(99))});
  gate->waitUntilReached();
  const auto dropped = rig.submit(storesOf(directory, 10, payload));
  const auto kept = rig.submit({store(directory.chunk(50), payload)});
  rig.engine().abort(dropped);
  CHECK(rig.settled(dropped));
  CHECK(!rig.settled(kept));
  gate->open();
  rig.wait(kept);
  CHECK_EQ(kept->answers[0].outcome, Outcome::kDone);
  CHECK_EQ(countOf(*dropped, Outcome::kAborted), 10U);
  CHECK_EQ(directory.names().size(), 2U);
}

TEST(abortAtAnyMomentLeavesNothingHalf) {
  auto payload = someBytes(5 * 4096, 1);
  Numbers numbers(14);
  for (int round = 0; round < 100; ++round) {
    const Directory directory;
    const size_t descriptors = openDescriptors();
    {
      Rig rig({.threads = 3, .slice_bytes = 4096});
      const auto batch = rig.submit(storesOf(directory, 10, payload));
      for (uint64_t spin = numbers.below(400); spin > 0; --spin) std::this_thread::yield();
      rig.engine().abort(batch);
      rig.wait(batch);
      CHECK_EQ(countOf(*batch, Outcome::kAborted) + countOf(*batch, Outcome::kDone), 10U);
      CHECK_EQ(directory.names().size(), countOf(*batch, Outcome::kDone) * 2);
      for (size_t chunk = 0; chunk < 10; ++chunk) {
        if (present(directory.chunk(chunk))) checkChunk(directory.chunk(chunk), headerOf(1), payload);
      }
    }
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(closeDropsTheQueueAndWaitsForWhatIsUnderWay) {
  const Directory directory;
  auto payload = someBytes(8 * 4096, 1);
  const auto gate = kvo::gate("pwritev", 3);
  Rig rig({.threads = 1, .slice_bytes = 4096}, gated(gate));
  const auto running = rig.submit({store(directory.chunk(100), payload)});
  gate->waitUntilReached();
  const auto queued = rig.submit(storesOf(directory, 20, payload));
  std::atomic<int> closed{0};
  rig.engine().close([&] { ++closed; });
  CHECK(rig.settled(queued));
  CHECK_EQ(countOf(*queued, Outcome::kAborted), 20U);
  CHECK(!rig.settled(running));
  CHECK_EQ(closed.load(), 0);
  CHECK(!rig.engine().submit(batchOf({exists(directory.chunk(1))})));
  rig.engine().close([&] { closed += 100; });  // the second has nothing to do
  gate->open();
  rig.engine().join();
  CHECK_EQ(closed.load(), 1);
  CHECK_EQ(running->answers[0].outcome, Outcome::kAborted);
  CHECK_EQ(directory.names().size(), 0U);
  rig.engine().join();
  rig.engine().abort(running);
}

TEST(idleEngineCloses) {
  for (const int threads : {1, 16}) {
    Rig rig({.threads = threads});
    std::atomic<int> closed{0};
    rig.engine().close([&] { ++closed; });
    rig.engine().join();
    CHECK_EQ(closed.load(), 1);
    CHECK(rig.engine().stuck().empty());
  }
}

TEST(destructorSettlesEverything) {
  auto payload = someBytes(5 * 4096, 1);
  Numbers numbers(15);
  for (int round = 0; round < 50; ++round) {
    const Directory directory;
    const size_t descriptors = openDescriptors();
    std::vector<char> into(payload.size());
    {
      Rig rig({.threads = 3, .slice_bytes = 4096});
      rig.submit(storesOf(directory, 10, payload));
      rig.submit({load(directory.chunk(1), into), exists(directory.chunk(2))});
      for (uint64_t spin = numbers.below(300); spin > 0; --spin) std::this_thread::yield();
    }  // checks that each has settled once
    CHECK_EQ(directory.temporaries(), 0U);
    CHECK_EQ(openDescriptors(), descriptors);
  }
}

TEST(batchesAreSubmittedFromManyThreads) {
  const Directory directory;
  auto payload = someBytes(2000, 1);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::shared_ptr<Batch>> batches;
  Settlements settled;
  Engine engine({.threads = 4}, posixFiles(), [&](const std::shared_ptr<Batch>& batch) { settled.add(batch); });
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t round = 0; round < 50; ++round) {
        auto batch =
            batchOf({store(directory.chunk(thread * 1000 + round), payload, 1), exists(directory.chunk(round))});
        engine.submit(batch);
        if (round % 5 == 0) engine.abort(batch);
        const std::lock_guard lock(mutex);
        batches.push_back(std::move(batch));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& batch : batches) CHECK(settled.wait(batch));
  engine.close({});
  engine.join();
  for (const auto& batch : batches) CHECK_EQ(settled.times(batch), 1);
}

// What settles a batch may submit the next one.
TEST(callbackMaySubmit) {
  const Directory directory;
  Settlements settled;
  Engine* engine = nullptr;
  std::vector<std::shared_ptr<Batch>> chain;
  for (int link = 0; link < 100; ++link) chain.push_back(batchOf({exists(directory.chunk(1))}));
  std::atomic<size_t> next{1};
  Engine owner({.threads = 2}, posixFiles(), [&](const std::shared_ptr<Batch>& batch) {
    if (const size_t at = next++; at < chain.size()) engine->submit(chain[at]);
    settled.add(batch);
  });
  engine = &owner;
  owner.submit(chain[0]);
  for (const auto& batch : chain) CHECK(settled.wait(batch));
}
