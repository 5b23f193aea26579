// Calls that hang while slices of other operations are on their way between files and device memory in the same thread:
// each operation answers once, what can still be done is done, and nothing is written where it no longer may be.
#include "check.h"
#include "fakes_rig.h"
#include "files_double.h"
#include "rig.h"

using namespace kvo;

namespace {

constexpr size_t kBytes = 3000;
constexpr size_t kCount = 6;

// A GPU, and memory on it that lives until the hung calls are back.
struct Gpu {
  Gpu() {
    (void)fakes::folder();
    fakes::control("");
    (void)fakes::reported();
    Failure why;
    device = Device::open(KVO_FAKE_CUDA, 0, why);
    if (device == nullptr) check::fail(__FILE__, __LINE__, why.text);
    const Device::Scope scope(*device);
    gds = Gds::open({.library = KVO_FAKE_CUFILE, .log = "", .configuration = ""}, device, why);
    if (gds == nullptr) check::fail(__FILE__, __LINE__, why.text);
    memory = DeviceMemory::allocate(device, gds, 2 * kCount * 4096, why);
    CHECK(memory != nullptr);
  }
  ~Gpu() { fakes::control(""); }

  Span place(size_t index) const { return {reinterpret_cast<char*>(memory->address + index * 4096), kBytes}; }
  void fill(size_t index, const std::vector<char>& bytes) const {
    Failure why;
    CHECK(memory->copyIn(index * 4096, bytes.data(), bytes.size(), why));
  }
  std::vector<char> read(size_t index) const {
    std::vector<char> bytes(kBytes);
    Failure why;
    CHECK(memory->copyOut(index * 4096, bytes.data(), bytes.size(), why));
    return bytes;
  }
  Op stores(const Directory& directory, size_t chunk, bool gds = false) const {
    return of(Kind::kStore, directory, chunk, gds);
  }
  Op loads(const Directory& directory, size_t chunk, bool gds = false) const {
    return of(Kind::kLoad, directory, chunk, gds);
  }
  EngineOptions options(int threads = 1) const {
    EngineOptions made{.threads = threads, .slice_bytes = size_t{1} << 20, .open_files = 0, .timeout = kShort};
    made.device = device;
    made.gds = gds;
    return made;
  }

  std::shared_ptr<Device> device;
  std::shared_ptr<Gds> gds;
  std::unique_ptr<DeviceMemory> memory;

 private:
  Op of(Kind kind, const Directory& directory, size_t chunk, bool gds) const {
    Op op{kind, directory.chunk(chunk), {place(chunk)}, chunk};
    op.device = true;
    op.gds = gds;
    return op;
  }
};

std::vector<char> bytesOf(size_t chunk) { return someBytes(kBytes, 100 + chunk); }

// Chunks 0 … kCount - 1 on disk, by host memory.
void prepare(const Directory& directory) {
  Rig rig;
  for (size_t chunk = 0; chunk < kCount; ++chunk) {
    auto payload = bytesOf(chunk);
    CHECK_EQ(rig.run(store(directory.chunk(chunk), payload, chunk)).outcome, Outcome::kDone);
  }
}

std::vector<Op> all(const Gpu& gpu, const Directory& directory, Kind kind) {
  std::vector<Op> ops;
  for (size_t chunk = 0; chunk < kCount; ++chunk) {
    if (kind == Kind::kStore) gpu.fill(chunk, bytesOf(chunk));
    ops.push_back(kind == Kind::kStore ? gpu.stores(directory, chunk) : gpu.loads(directory, chunk));
  }
  return ops;
}

size_t count(const std::shared_ptr<Batch>& batch, Outcome outcome) {
  return static_cast<size_t>(std::count_if(batch->answers.begin(), batch->answers.end(),
                                           [&](const Answer& answer) { return answer.outcome == outcome; }));
}

void checkFiles(const Directory& directory, const std::shared_ptr<Batch>& batch) {
  for (size_t chunk = 0; chunk < kCount; ++chunk) {
    if (batch->answers[chunk].outcome == Outcome::kDone)
      checkChunk(directory.chunk(chunk), headerOf(chunk), bytesOf(chunk));
  }
}

}  // namespace

// All small stores of the batch share a stage when the first of them is written.
TEST(writeThatHangsCostsItsOperationAlone) {
  for (const int nth : {1, 2, 3, 12}) {
    check::about() = "pwritev " + std::to_string(nth);
    const Gpu gpu;
    const Directory directory;
    const auto gate = kvo::gate("pwritev", nth);
    Rig rig(gpu.options(), gated(gate));
    const auto batch = rig.submit(all(gpu, directory, Kind::kStore));
    rig.wait(batch);
    CHECK_EQ(count(batch, Outcome::kStuck), 1U);
    CHECK_EQ(count(batch, Outcome::kDone), kCount - 1);
    CHECK_EQ(rig.engine().stuck().size(), 1U);
    checkFiles(directory, batch);
    rig.destroyEngine();
    gate->open();
    rig.waitUntilBack();
    CHECK_EQ(directory.temporaries(), 0U);
    CHECK_EQ(fakes::reported(), "");
  }
}

TEST(readThatHangsCostsItsOperationAlone) {
  for (const int nth : {1, 3, 6}) {
    check::about() = "preadv " + std::to_string(nth);
    const Gpu gpu;
    const Directory directory;
    prepare(directory);
    const auto gate = kvo::gate("preadv", nth);
    Rig rig(gpu.options(), gated(gate));
    const auto batch = rig.submit(all(gpu, directory, Kind::kLoad));
    rig.wait(batch);
    CHECK_EQ(count(batch, Outcome::kStuck), 1U);
    CHECK_EQ(count(batch, Outcome::kDone), kCount - 1);
    for (size_t chunk = 0; chunk < kCount; ++chunk) {
      if (batch->answers[chunk].outcome == Outcome::kDone) CHECK(gpu.read(chunk) == bytesOf(chunk));
    }
    // Come back, it writes nothing to the device: the memory of the chunk that was given up keeps what is there.
    const auto mark = someBytes(kBytes, 7);
    for (size_t chunk = 0; chunk < kCount; ++chunk) gpu.fill(chunk, mark);
    rig.destroyEngine();
    gate->open();
    rig.waitUntilBack();
    for (size_t chunk = 0; chunk < kCount; ++chunk) CHECK(gpu.read(chunk) == mark);
    CHECK_EQ(fakes::reported(), "");
  }
}

// What the device may still copy is never anyone's again; the engine goes on with another thread.
TEST(copyThatHangsIsStuckForAllThatShareIt) {
  for (const Kind kind : {Kind::kLoad, Kind::kStore}) {
    check::about() = kind == Kind::kLoad ? "loads" : "stores";
    const Gpu gpu;
    const Directory directory;
    if (kind == Kind::kLoad) prepare(directory);
    Rig rig(gpu.options());
    const auto ops = all(gpu, directory, kind);
    fakes::control("streamCopy:hang@1x1");
    const auto batch = rig.submit(ops);
    rig.wait(batch);
    CHECK_EQ(count(batch, Outcome::kStuck), kCount);
    CHECK(batch->stuck.load());
    CHECK_EQ(rig.engine().stuck().size(), 1U);
    CHECK_EQ(rig.stat(Stat::kStuck), kCount);
    // Elsewhere, since these places are lost.
    const Directory other;
    Op more = gpu.stores(other, 0);
    more.spans = {gpu.place(kCount)};
    CHECK_EQ(rig.run(more).outcome, Outcome::kDone);
    fakes::control("");
    waitUntil([&] { return rig.engine().stuck().empty(); });
    rig.destroyEngine();
    CHECK_EQ(directory.temporaries(), 0U);
    CHECK_EQ(fakes::reported(), "");
  }
}

// A chunk that cuFile hangs in, beside others that are staged by the same thread.
TEST(cuFileCallThatHangsCostsItsOperationAlone) {
  for (const bool loads : {true, false}) {
    for (const char* call : {loads ? "read" : "write", "registerHandle"}) {
      check::about() = std::string(call) + (loads ? " of loads" : " of stores");
      const Gpu gpu;
      const Directory directory;
      if (loads) prepare(directory);
      auto ops = all(gpu, directory, loads ? Kind::kLoad : Kind::kStore);
      ops[2].gds = true;
      auto rig = std::make_unique<Rig>(gpu.options());
      fakes::control(std::string(call) + ":hang@1x1");
      auto batch = rig->submit(ops);
      rig->wait(batch);
      CHECK_EQ(batch->answers[2].outcome, Outcome::kStuck);
      CHECK_EQ(count(batch, Outcome::kDone), kCount - 1);
      for (size_t chunk = 0; chunk < kCount; ++chunk) {
        if (chunk != 2 && loads) CHECK(gpu.read(chunk) == bytesOf(chunk));
      }
      if (!loads) checkFiles(directory, batch);
      // What hangs holds its file, and a batch that is looked at.
      batch.reset();
      rig.reset();
      fakes::control("");
      waitUntil([&] { return fakes::counter("cufile", "underWay") == 0 && fakes::counter("cufile", "handles") == 0; });
      waitUntil([&] { return directory.temporaries() == 0; });
      CHECK_EQ(fakes::reported(), "");
    }
  }
}

// A close in the midst of a hang ends, and what had not begun is dropped.
TEST(closeWhileACopyHangsSettlesEverything) {
  const Gpu gpu;
  const Directory directory;
  prepare(directory);
  fakes::control("streamCopy:hang@1x1");
  Rig rig(gpu.options());
  const auto batch = rig.submit(all(gpu, directory, Kind::kLoad));
  waitUntil([&] { return rig.stat(Stat::kLoads) > 0; });
  std::atomic<int> closed{0};
  rig.engine().close([&] { ++closed; });
  rig.engine().join();
  CHECK_EQ(closed.load(), 1);
  CHECK(rig.settled(batch));
  CHECK_EQ(count(batch, Outcome::kStuck) + count(batch, Outcome::kAborted), kCount);
  fakes::control("");
  waitUntil([&] { return rig.engine().stuck().empty(); });
  CHECK_EQ(fakes::reported(), "");
}

// With nothing that hangs, an engine leaves nothing behind.
TEST(everythingIsFreedWithTheEngine) {
  const auto held = [] {
    std::string text;
    for (const char* name : {"deviceBlocks", "pinnedBlocks", "streams", "events"}) {
      text += std::to_string(fakes::counter("cuda", name)) + " ";
    }
    return text + std::to_string(fakes::counter("cufile", "buffers")) + " " +
           std::to_string(fakes::counter("cufile", "handles"));
  };
  const Gpu gpu;
  const Directory directory;
  const std::string before = held();
  for (const bool gds : {false, true}) {
    Rig rig(gpu.options(4));
    auto ops = all(gpu, directory, Kind::kStore);
    for (Op& op : ops) op.gds = gds;
    for (Op& op : ops) op.replace = true;
    rig.runBatch(ops);
    for (Op& op : ops) op.kind = Kind::kLoad;
    rig.runBatch(ops);
    rig.engine().close([] {});
    rig.engine().join();
    // Before the engine itself goes: it may stay for its counters.
    CHECK_EQ(held(), before);
  }
  CHECK_EQ(fakes::reported(), "");
}
