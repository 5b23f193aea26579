// Reads go before writes, and writes are never starved. One thread, so that the order is certain.
#include "check.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

// Notes calls that tell what the thread is at; `gate` holds up the first of its kind.
struct Watched {
  explicit Watched(std::shared_ptr<Gate> gate) : gate(std::move(gate)) {}
  std::shared_ptr<Files> files() {
    return hooked([this](const FileCall& call) {
      {
        const std::lock_guard lock(mutex);
        const std::string name = call.name;
        if (name == "stat") order += call.path.find("read") != std::string::npos ? 'R' : 'W';
        if (name == "preadv") order += 'r';
        if (name == "pwritev") order += call.offset == 0 ? 'h' : 'w';
      }
      return gate->pass(call);
    });
  }
  const std::shared_ptr<Gate> gate;
  std::mutex mutex;
  std::string order;
};

}  // namespace

TEST(eightReadsAtMostGoBeforeAWaitingWrite) {
  const Directory directory;
  auto payload = someBytes(100, 1);
  Watched watched(gate("stat"));
  Rig rig({.threads = 1}, watched.files());
  std::vector<std::shared_ptr<Batch>> batches = {rig.submit({exists(directory.chunk("read"))})};
  watched.gate->waitUntilReached();
  for (size_t write = 0; write < 3; ++write) batches.push_back(rig.submit({store(directory.chunk(write), payload)}));
  for (size_t read = 0; read < 20; ++read) batches.push_back(rig.submit({exists(directory.chunk("read"))}));
  watched.gate->open();
  for (const auto& batch : batches) rig.wait(batch);
  std::string order = watched.order;
  order.erase(std::remove_if(order.begin(), order.end(), [](char call) { return call != 'R' && call != 'W'; }),
              order.end());
  CHECK_EQ(order, "RRRRRRRRWRRRRRRRRWRRRRRW");
}

TEST(readGoesBetweenTheSlicesOfALargeStore) {
  const Directory directory;
  auto payload = someBytes(8 * 4096, 1);
  auto small = someBytes(100, 2);
  std::vector<char> into(small.size());
  Rig().run(store(directory.chunk("read"), small));
  Watched watched(gate("pwritev", 3));
  Rig rig({.threads = 1, .slice_bytes = 4096}, watched.files());
  const auto storing = rig.submit({store(directory.chunk(1), payload)});
  watched.gate->waitUntilReached();
  const auto loading = rig.submit({load(directory.chunk("read"), into)});
  watched.gate->open();
  rig.wait(loading);
  rig.wait(storing);
  CHECK_EQ(watched.order, "Wwwwrwwwwwh");
  CHECK_EQ(storing->answers[0].outcome, Outcome::kDone);
  CHECK(into == small);
}

// A store that gives way again and again still ends, with reads always waiting.
TEST(largeStoreEndsThoughReadsNeverCease) {
  const Directory directory;
  auto payload = someBytes(30 * 4096, 1);
  Rig rig({.threads = 1, .slice_bytes = 4096});
  const auto storing = rig.submit({store(directory.chunk(1), payload)});
  std::vector<std::shared_ptr<Batch>> reads;
  while (!rig.settled(storing)) {
    reads.push_back(rig.submit({exists(directory.chunk("read"))}));
    if (reads.size() > 20) rig.wait(reads[reads.size() - 20]);
  }
  CHECK_EQ(storing->answers[0].outcome, Outcome::kDone);
  checkChunk(directory.chunk(1), headerOf(0), payload);
  for (const auto& batch : reads) rig.wait(batch);
}

TEST(slicesOfALargeLoadAreShared) {
  const Directory directory;
  auto payload = someBytes(16 * 4096, 1);
  Rig().run(store(directory.chunk(1), payload));
  // Two threads are in preadv at once: the first waits until the second is there too.
  const auto one = gate("preadv", 1);
  const auto two = gate("preadv", 2);
  Rig rig({.threads = 2, .slice_bytes = 4096}, hooked([one, two](const FileCall& call) {
            one->pass(call);
            return two->pass(call);
          }));
  std::vector<char> into(payload.size());
  const auto batch = rig.submit({load(directory.chunk(1), into)});
  one->waitUntilReached();
  two->waitUntilReached();
  one->open();
  two->open();
  rig.wait(batch);
  CHECK(into == payload);
}
