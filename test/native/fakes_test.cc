// The fakes themselves (test/fakes): that they catch what a GPU would not forgive.
#include "check.h"
#include "fakes_rig.h"

using namespace kvo;
using fakes::control;
using fakes::counter;
using fakes::Pinned;
using fakes::Rig;

namespace {

struct Job {
  uint64_t from;
  uint64_t to;
  uint64_t bytes;
};

// What a host function was called with, and what CUDA said inside it.
struct Called {
  const Rig* rig;
  std::atomic<int> times{0};
  std::atomic<CudaResult> answer{0};
};

void callBack(void* argument) {
  auto* const called = static_cast<Called*>(argument);
  CudaAddress address = 0;
  called->answer = called->rig->cuda->allocate(&address, 4096);
  ++called->times;
}

CudaCopyAttributes inOrder() { return {kCudaSourceOrderStream, {0, 0}, {0, 0}, 0}; }

}  // namespace

TEST(aCopyToTheHostIsNotSeenBeforeItsStreamIsDone) {
  const Rig rig;
  const CudaAddress device = rig.allocate(4096, 'd');
  Pinned host(rig, 4096, 'h');
  control("streamCopy:hang");
  CHECK_EQ(rig.cuda->toHostAsync(host.data(), device, 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->recordEvent(rig.event, rig.stream), kCudaSuccess);
  CHECK_EQ(host.text(), std::string(4096, 'h'));
  // A call after the look: the stream, which hangs in asking the same state, goes on after it.
  CHECK_EQ(rig.cuda->queryEvent(rig.event), kCudaNotReady);
  control("");
  CHECK_EQ(rig.cuda->synchronizeEvent(rig.event), kCudaSuccess);
  CHECK_EQ(host.text(), std::string(4096, 'd'));
  CHECK_EQ(rig.cuda->queryEvent(rig.event), kCudaSuccess);
}

TEST(aCopyToTheDeviceReadsItsSourceLate) {
  const Rig rig;
  const CudaAddress device = rig.allocate(4096, 'd');
  Pinned host(rig, 4096, 'h');
  control("streamCopy:hang");
  CHECK_EQ(rig.cuda->toDeviceAsync(device, host.data(), 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->recordEvent(rig.event, rig.stream), kCudaSuccess);
  std::memset(host.data(), 'x', 4096);  // too early, as a caller that forgets to wait
  CHECK_EQ(rig.cuda->queryEvent(rig.event), kCudaNotReady);
  control("");
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), kCudaSuccess);
  CHECK_EQ(rig.bytes(device, 4096), std::string(4096, 'x'));
}

TEST(pageableMemoryMakesACopyWait) {
  const Rig rig;
  const CudaAddress device = rig.allocate(4096, 'd');
  std::string host(4096, 'h');
  const long long before = counter("cuda", "pageable");
  CHECK_EQ(rig.cuda->toHostAsync(host.data(), device, 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(host, std::string(4096, 'd'));
  CHECK_EQ(counter("cuda", "pageable"), before + 1);
}

TEST(aStreamWaitsForAnotherOnesEvent) {
  const Rig rig;
  CudaStream other = nullptr;
  CHECK_EQ(rig.cuda->createStream(&other, kCudaStreamNonBlocking), kCudaSuccess);
  const CudaAddress device = rig.allocate(4096, 'd');
  Pinned host(rig, 4096, 'h');
  Called called{&rig};
  control("streamCopy:hang");
  CHECK_EQ(rig.cuda->toHostAsync(host.data(), device, 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->recordEvent(rig.event, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->waitEvent(other, rig.event, 0), kCudaSuccess);
  CHECK_EQ(rig.cuda->launchHost(other, callBack, &called), kCudaSuccess);
  CHECK_EQ(called.times.load(), 0);
  control("");
  CHECK_EQ(rig.cuda->synchronizeStream(other), kCudaSuccess);
  CHECK_EQ(called.times.load(), 1);
  CHECK_EQ(host.text(), std::string(4096, 'd'));
  CHECK_EQ(rig.cuda->destroyStream(other), kCudaSuccess);
}

TEST(aHostFunctionMayNotCallCuda) {
  const Rig rig;
  Called called{&rig};
  CHECK_EQ(rig.cuda->launchHost(rig.stream, callBack, &called), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), kCudaSuccess);
  CHECK_EQ(called.answer.load(), 800);
}

TEST(theNullStreamWaitsForBlockingStreamsAlone) {
  const Rig rig;
  CudaStream blocking = nullptr;
  CHECK_EQ(rig.cuda->createStream(&blocking, 0), kCudaSuccess);
  Called called{&rig};
  control("streamHost:delay=20");
  CHECK_EQ(rig.cuda->launchHost(blocking, callBack, &called), kCudaSuccess);
  CHECK_EQ(rig.cuda->recordEvent(rig.event, nullptr), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeEvent(rig.event), kCudaSuccess);
  CHECK_EQ(called.times.load(), 1);
  CHECK_EQ(rig.cuda->destroyStream(blocking), kCudaSuccess);
  control("streamHost:hang");
  CHECK_EQ(rig.cuda->launchHost(rig.stream, callBack, &called), kCudaSuccess);
  CHECK_EQ(rig.cuda->recordEvent(rig.event, nullptr), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeEvent(rig.event), kCudaSuccess);
  CHECK_EQ(called.times.load(), 1);
  control("");
  CHECK_EQ(rig.cuda->synchronizeContext(), kCudaSuccess);
  CHECK_EQ(called.times.load(), 2);
}

TEST(aBatchCopiesToAndFromAnywhere) {
  const Rig rig;
  const CudaAddress device = rig.allocate(3 * 4096, 'd');
  Pinned host(rig, 2 * 4096, 'h');
  CudaAddress to[] = {device, host.address() + 4096, device + 2 * 4096};
  CudaAddress from[] = {host.address(), device + 4096, device + 4096};
  size_t bytes[] = {4096, 4000, 4096};
  CudaCopyAttributes attributes = inOrder();
  size_t at = 0;
  size_t failed = 7;
  const long long before = counter("cuda", "batchCopies");
  CHECK(rig.cuda->copyBatch != nullptr);
  CHECK_EQ(rig.cuda->copyBatch(to, from, bytes, 3, &attributes, &at, 1, &failed, rig.stream), kCudaSuccess);
  CHECK_EQ(failed, SIZE_MAX);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), kCudaSuccess);
  CHECK_EQ(rig.bytes(device, 4096), std::string(4096, 'h'));
  CHECK_EQ(host.text().substr(4096, 4000), std::string(4000, 'd'));
  CHECK_EQ(host.text().substr(4096 + 4000), std::string(96, 'h'));
  CHECK_EQ(counter("cuda", "batchCopies"), before + 3);
}

TEST(aBatchIsRefusedWhereTheDriverRefusesIt) {
  const Rig rig;
  CudaAddress device = rig.allocate(8192, 'd');
  Pinned host(rig, 4096, 'h');
  CudaAddress to[] = {device, device};
  CudaAddress from[] = {host.address(), host.address()};
  size_t bytes[] = {4096, 4096};
  CudaCopyAttributes attributes = inOrder();
  size_t at = 0;
  size_t failed = 0;
  const auto copy = [&](size_t count, size_t attributes_count, CudaStream stream) {
    return rig.cuda->copyBatch(to, from, bytes, count, &attributes, &at, attributes_count, &failed, stream);
  };
  CHECK_EQ(copy(2, 1, nullptr), 1);
  CHECK_EQ(copy(0, 1, rig.stream), 1);
  CHECK_EQ(copy(2, 0, rig.stream), 1);
  CHECK_EQ(failed, SIZE_MAX);
  attributes.source_order = 0;
  CHECK_EQ(copy(2, 1, rig.stream), 1);
  attributes = inOrder();
  to[1] = 4096;  // neither device memory nor anything
  from[1] = 8192;
  CHECK_EQ(copy(2, 1, rig.stream), 1);
  CHECK_EQ(failed, 1U);
  CHECK_EQ(fakes::reported(), "");
}

TEST(aKernelMovesWhatItsJobsSay) {
  const Rig rig;
  const CudaFunction move = rig.kernel();
  const CudaAddress source = rig.allocate(64 << 10, 's');
  const CudaAddress target = rig.allocate(64 << 10, 't');
  Pinned list(rig, 4096, 0);
  Pinned host(rig, 4096, 'p');
  const Job jobs[] = {
      {source, target + 1, 8192}, {source + 3, target + 10'000, 17}, {host.address(), target + 20'000, 5}};
  control("streamKernel:hang");
  CHECK_EQ(rig.launch(move, list, 3), kCudaSuccess);
  // Read by the device when it gets there.
  std::memcpy(list.data(), jobs, sizeof jobs);
  CHECK_EQ(rig.bytes(target, 8), "tttttttt");
  control("");
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), kCudaSuccess);
  std::string expected(64 << 10, 't');
  expected.replace(1, 8192, 8192, 's').replace(10'000, 17, 17, 's').replace(20'000, 5, 5, 'p');
  CHECK(rig.bytes(target, 64 << 10) == expected);
}

TEST(aKernelThatLeavesItsMemoryFailsTheContext) {
  const Rig rig;
  const CudaFunction move = rig.kernel();
  const CudaAddress device = rig.allocate(4096, 'd');
  Pinned list(rig, 4096, 0);
  const Job job = {device, device + 4000, 97};
  std::memcpy(list.data(), &job, sizeof job);
  CHECK_EQ(rig.launch(move, list, 1), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), 700);
  CHECK_EQ(rig.cuda->queryEvent(rig.event), 700);
  CHECK(fakes::reported().find("outside an allocation") != std::string::npos);
}

TEST(aKernelsJobsAreInspected) {
  const Rig rig;
  const CudaFunction move = rig.kernel();
  const CudaAddress device = rig.allocate(64 << 10, 'd');
  Pinned list(rig, 4096, 0);
  const Job jobs[] = {{device, device + 32'000, 9000}, {device, device + 40'000, 10}};
  std::memcpy(list.data(), jobs, sizeof jobs);
  CHECK_EQ(rig.launch(move, list, 2), kCudaSuccess);
  (void)rig.cuda->synchronizeStream(rig.stream);
  const std::string reported = fakes::reported();
  CHECK(reported.find("more than 8 KiB") != std::string::npos);
  CHECK(reported.find("write the same bytes") != std::string::npos);
  CudaFunction other = nullptr;
  CudaModule module = nullptr;
  CHECK_EQ(rig.cuda->loadModule(&module, "an image"), kCudaSuccess);
  CHECK_EQ(rig.cuda->findFunction(&other, module, "kvo_other"), 500);
  CHECK_EQ(rig.cuda->unloadModule(module), kCudaSuccess);
}

TEST(pointersAreTold) {
  const Rig rig;
  const CudaAddress device = rig.allocate(8192, 'd', 1);
  Pinned host(rig, 4096, 'h');
  unsigned type = 0;
  int ordinal = -1;
  CudaAddress start = 0;
  size_t bytes = 0;
  const auto ask = [&](void* value, int attribute, CudaAddress address) {
    return rig.cuda->pointerAttribute(value, attribute, address);
  };
  CHECK_EQ(ask(&type, kCudaPointerMemoryType, device + 100), kCudaSuccess);
  CHECK_EQ(type, kCudaMemoryDevice);
  CHECK_EQ(ask(&ordinal, kCudaPointerDeviceOrdinal, device + 100), kCudaSuccess);
  CHECK_EQ(ordinal, 1);
  CHECK_EQ(ask(&start, kCudaPointerRangeStart, device + 100), kCudaSuccess);
  CHECK_EQ(start, device);
  CHECK_EQ(ask(&bytes, kCudaPointerRangeSize, device + 8191), kCudaSuccess);
  CHECK_EQ(bytes, 8192U);
  CHECK_EQ(ask(&type, kCudaPointerMemoryType, host.address() + 5), kCudaSuccess);
  CHECK_EQ(type, 1U);
  CHECK_EQ(ask(&type, kCudaPointerMemoryType, device + 8192), 1);
  CHECK_EQ(ask(&type, kCudaPointerMemoryType, reinterpret_cast<CudaAddress>(&type)), 1);
}

TEST(aContextMustBeCurrent) {
  const Rig rig;
  CudaAddress address = 0;
  CHECK_EQ(rig.cuda->setContext(nullptr), kCudaSuccess);
  CHECK_EQ(rig.cuda->allocate(&address, 4096), 201);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), 201);
  CHECK_EQ(rig.cuda->pushContext(rig.contexts[0]), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->popContext(nullptr), kCudaSuccess);
  CHECK_EQ(rig.cuda->popContext(nullptr), 201);
  CHECK_EQ(rig.cuda->setContext(reinterpret_cast<CudaContext>(&address)), 201);
  rig.makeCurrent(0);
}

TEST(badHandlesAreErrors) {
  const Rig rig;
  char nothing = 0;
  CHECK_EQ(rig.cuda->queryEvent(reinterpret_cast<CudaEvent>(&nothing)), 400);
  CHECK_EQ(rig.cuda->waitEvent(rig.stream, nullptr, 0), 400);
  CHECK_EQ(rig.cuda->synchronizeStream(reinterpret_cast<CudaStream>(&nothing)), 400);
  CHECK_EQ(fakes::reported(), "");
  CudaEvent event = nullptr;
  CHECK_EQ(rig.cuda->createEvent(&event, kCudaEventDisableTiming), kCudaSuccess);
  CHECK_EQ(rig.cuda->queryEvent(event), kCudaSuccess);
  CHECK_EQ(rig.cuda->destroyEvent(event), kCudaSuccess);
  CHECK_EQ(rig.cuda->queryEvent(event), 400);
  CHECK(fakes::reported().find("an event used after its end") != std::string::npos);
}

TEST(memoryRunsOut) {
  const Rig rig;
  size_t free = 0;
  size_t total = 0;
  CHECK_EQ(rig.cuda->memoryInfo(&free, &total), kCudaSuccess);
  CHECK_EQ(total, fakes::kMemory);
  CHECK_EQ(free, total);
  CudaAddress first = 0;
  CudaAddress second = 0;
  CHECK_EQ(rig.cuda->allocate(&first, total / 2 + 1), kCudaSuccess);
  CHECK_EQ(rig.cuda->allocate(&second, total / 2), kCudaOutOfMemory);
  CHECK_EQ(rig.cuda->memoryInfo(&free, &total), kCudaSuccess);
  CHECK_EQ(free, total / 2 - 1);
  CHECK_EQ(rig.cuda->free(first), kCudaSuccess);
  CHECK_EQ(rig.cuda->allocate(&second, total / 2), kCudaSuccess);
  CHECK_EQ(rig.cuda->free(second), kCudaSuccess);
}

TEST(badAddressesAreErrorsAndNoCrash) {
  const Rig rig;
  const CudaAddress device = rig.allocate(8192, 'd');
  void* const nothing = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char byte = 'h';
  CHECK_EQ(rig.cuda->toDevice(device, nothing, 4096), 1);
  CHECK_EQ(rig.cuda->toHostAsync(nothing, device, 4096, rig.stream), 1);
  CHECK_EQ(rig.cuda->toDevice(4096, &byte, 1), 1);
  CHECK_EQ(rig.cuda->toHost(&byte, reinterpret_cast<CudaAddress>(&byte), 1), 1);
  CHECK_EQ(fakes::reported(), "");
  CHECK_EQ(rig.cuda->toDevice(device + 8191, &byte, 2), 1);
  CHECK(fakes::reported().find("outside an allocation") != std::string::npos);
  ::munmap(nothing, 4096);
}

TEST(useAfterFreeIsReported) {
  const Rig rig;
  CudaAddress device = 0;
  CHECK_EQ(rig.cuda->allocate(&device, 4096), kCudaSuccess);
  CHECK_EQ(rig.cuda->free(device), kCudaSuccess);
  char byte = 0;
  CHECK_EQ(rig.cuda->toHost(&byte, device, 1), 1);
  CHECK(fakes::reported().find("a copy: memory freed") != std::string::npos);
  CHECK_EQ(rig.cuda->free(device), 1);
  CHECK(fakes::reported().find("freed twice") != std::string::npos);
}

TEST(memoryFreedUnderACopyIsReported) {
  const Rig rig;
  const CudaAddress device = rig.allocate(4096, 'd');
  void* host = nullptr;
  CHECK_EQ(rig.cuda->allocateHost(&host, 4096, kCudaHostAllocPortable), kCudaSuccess);
  control("streamCopy:delay=20");
  CHECK_EQ(rig.cuda->toHostAsync(host, device, 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->freeHost(host), kCudaSuccess);
  CHECK(fakes::reported().find("pinned host memory freed while a stream has work") != std::string::npos);
}

TEST(anotherProcessesMemoryIsOpened) {
  const Rig rig;
  fakes::Peer peer;
  const fakes::Peer::Block block = peer.allocate(100'000);
  CudaAddress address = 0;
  CHECK_EQ(rig.cuda->openIpc(&address, block.handle, kCudaIpcLazyPeerAccess), kCudaSuccess);
  const std::string text(100'000, 'i');
  CHECK_EQ(rig.cuda->toDevice(address, text.data(), text.size()), kCudaSuccess);
  CHECK(peer.read(block) == text);
  CudaAddress again = 0;
  CHECK_EQ(rig.cuda->openIpc(&again, block.handle, kCudaIpcLazyPeerAccess), kCudaSuccess);
  CHECK_EQ(again, address);
  CHECK_EQ(rig.cuda->free(address), 1);
  CHECK_EQ(rig.cuda->closeIpc(address), kCudaSuccess);
  CHECK(rig.bytes(address, 100'000) == text);
  CHECK_EQ(rig.cuda->closeIpc(address), kCudaSuccess);
  CHECK_EQ(rig.cuda->closeIpc(address), 1);
}

TEST(whatIsNoHandleIsNotOpened) {
  const Rig rig;
  const CudaAddress own = rig.allocate(4096, 'd');
  fakes::Peer peer;
  const fakes::Peer::Block block = peer.allocate(4096);
  CudaAddress address = 0;
  CudaIpcHandle handle{};
  CHECK_EQ(rig.cuda->openIpc(&address, handle, kCudaIpcLazyPeerAccess), 400);
  CHECK_EQ(rig.cuda->openIpc(&address, block.handle, 0), 1);
  CHECK_EQ(rig.cuda->getIpc(&handle, own), kCudaSuccess);
  CHECK_EQ(rig.cuda->openIpc(&address, handle, kCudaIpcLazyPeerAccess), 201);
  peer.free(block);
  CHECK_EQ(rig.cuda->openIpc(&address, block.handle, kCudaIpcLazyPeerAccess), 400);
}

TEST(faultsHitTheCallsTheyName) {
  const Rig rig;
  CudaAddress device = 0;
  control("allocate:2@2x1;allocate:above=1=999");
  CHECK_EQ(rig.cuda->allocate(&device, 4096), kCudaSuccess);
  CHECK_EQ(rig.cuda->free(device), kCudaSuccess);
  CHECK_EQ(rig.cuda->allocate(&device, 4096), 2);
  CHECK_EQ(rig.cuda->allocate(&device, 2 << 20), 999);
  control("createStream:801;queryEvent:700x");
  CHECK_EQ(fakes::died([&] { (void)rig.cuda->queryEvent(rig.event); }), SIGABRT);
  control("queryEvent:700");
  CHECK_EQ(rig.cuda->queryEvent(rig.event), 700);
  control("streamCopy:719");
  const CudaAddress copied = rig.allocate(4096, 'd');
  Pinned host(rig, 4096, 'h');
  CHECK_EQ(rig.cuda->toHostAsync(host.data(), copied, 4096, rig.stream), kCudaSuccess);
  CHECK_EQ(rig.cuda->synchronizeStream(rig.stream), 719);
  CHECK_EQ(host.text(), std::string(4096, 'h'));
}

TEST(manyThreadsWorkAtOnce) {
  const Rig rig;
  constexpr size_t kThreads = 8;
  constexpr size_t kRounds = 20;
  constexpr size_t kPart = 64 << 10;
  const CudaAddress device = rig.allocate(kThreads * kPart, 'd');
  Pinned host(rig, kThreads * kPart, 'h');
  std::atomic<int> failed{0};
  const auto work = [&](size_t thread) {
    rig.makeCurrent(0);
    CudaStream stream = nullptr;
    CudaEvent event = nullptr;
    const CudaAddress at = device + thread * kPart;
    char* const mine = host.data() + thread * kPart;
    const auto expect = [&](CudaResult result) { failed += result != kCudaSuccess; };
    expect(rig.cuda->createStream(&stream, kCudaStreamNonBlocking));
    expect(rig.cuda->createEvent(&event, kCudaEventDisableTiming));
    for (size_t round = 0; round < kRounds; ++round) {
      std::memset(mine, static_cast<int>('a' + round), kPart);
      expect(rig.cuda->toDeviceAsync(at, mine, kPart, stream));
      expect(rig.cuda->recordEvent(event, stream));
      expect(rig.cuda->synchronizeEvent(event));
      std::memset(mine, 0, kPart);
      expect(rig.cuda->toHostAsync(mine, at, kPart, stream));
      expect(rig.cuda->synchronizeStream(stream));
      failed += mine[0] != static_cast<char>('a' + round) || mine[kPart - 1] != mine[0];
    }
    expect(rig.cuda->destroyEvent(event));
    expect(rig.cuda->destroyStream(stream));
  };
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < kThreads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failed.load(), 0);
}

TEST(symbolsCanBeAbsent) {
  const std::string path = KVO_FAKE_CUDA;
  const std::string folder = path.substr(0, path.rfind('/'));
  std::string why;
  control("copyBatch:absent");
  const auto old = Cuda::load(folder + "/./libfake_cuda.so", why);
  CHECK(old != nullptr);
  CHECK(old->copyBatch == nullptr);
  control("waitEvent:absent");
  CHECK(Cuda::load(folder + "/././libfake_cuda.so", why) == nullptr);
  CHECK(why.find("lacks cuStreamWaitEvent") != std::string::npos);
  control("write:absent");
  CHECK(CuFile::load(folder + "/././libfake_cufile.so", why) == nullptr);
  CHECK(why.find("lacks cuFileWrite") != std::string::npos);
  control("stats:absent;version:absent");
  const auto cufile = CuFile::load(folder + "/./libfake_cufile.so", why);
  CHECK(cufile != nullptr);
  CHECK(cufile->stats == nullptr);
  CHECK_EQ(cufile->version, 0);
  control("");
}

TEST(nothingIsLeftBehind) {
  { const Rig rig; }
  for (const char* name : {"deviceBlocks", "pinnedBlocks", "streams", "events", "modules", "contexts"}) {
    check::about() = name;
    CHECK_EQ(counter("cuda", name), 0);
  }
}
