// What the hardware gives without us: plain C++ between files and device memory, which the library is measured against.
// One process, driven line by line, so that its runs can alternate with ours.
//
//   plain_gpu [--cuda LIBRARY] [--cufile LIBRARY] [--device N] [--kernel PTX]
//   > ceiling                       pinned 256 MiB to the device and back
//   > store DIR files= bytes= …     new files of 4096 + bytes each: a copy to pinned memory, a temporary file, the sidecar
//                                   as a hard link, both renamed
//   > load DIR files= bytes= …      reads them back into device memory
// Both take depth= (files a call) threads= slices= slice= streams= wait=spin|block|nap (nap= µs) copy=none|each|batch
// check=1, and for scattered device memory segment= reach=batch|staging|direct (plain/options.h). With via=cufile, cuFile
// moves the bytes: depth= threads= slice= direct=1 (O_DIRECT) check=1.
// Each line answers with one line of JSON: seconds, CPU seconds, bytes, and with check=1 whether all of them were right.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <latch>
#include <string>
#include <thread>

#include "plain/cufile_files.h"
#include "plain/file_life.h"
#include "plain/lane.h"
#include "plain/machine.h"
#include "plain/verify.h"

namespace {

using plain::CuFiles;
using plain::Lane;
using plain::Machine;
using plain::Options;
using plain::Part;
using plain::Reach;
using plain::Run;
using plain::Slice;
using plain::Via;

double cpuSeconds() {
  rusage usage{};
  (void)getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Cost {
  double seconds;
  double cpu;
};

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Threads, streams and events are there before the clock starts, as a library's are. `work` is done once a call.
Cost timed(Run& run, const std::function<void(Lane&)>& work) {
  const size_t threads = run.options.threads;
  std::latch ready(static_cast<ptrdiff_t>(threads)), go(1), done(static_cast<ptrdiff_t>(threads)), read(1);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (size_t thread = 0; thread < threads; ++thread) lanes.push_back(std::make_unique<Lane>(run, thread));
  run.next = 0;
  run.end = std::min(run.options.perCall(), run.options.files);
  const auto follow = [&]() noexcept {
    run.next = run.end;
    run.end = std::min(run.end + run.options.perCall(), run.options.files);
  };
  std::barrier call(static_cast<ptrdiff_t>(threads), follow);
  const size_t calls = (run.options.files + run.options.perCall() - 1) / run.options.perCall();
  std::vector<std::thread> pool;
  for (size_t thread = 0; thread < threads; ++thread) {
    pool.emplace_back([&, thread] {
      run.machine.enter();
      (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
      ready.count_down();
      go.wait();
      for (size_t made = 0; made < calls; ++made) {
        work(*lanes[thread]);
        call.arrive_and_wait();
      }
      done.count_down();
      read.wait();
    });
  }
  ready.wait();
  const double cpu = cpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  go.count_down();
  done.wait();
  const Cost cost = {since(start), cpuSeconds() - cpu};
  read.count_down();
  for (std::thread& thread : pool) thread.join();
  return cost;
}

void load(Run& run, Lane& lane) {
  plain::Reader reader(run.options);
  for (size_t turn = 0;; ++turn) {
    Slice& slice = lane.slices[turn % lane.slices.size()];
    lane.wait(slice);
    if (!lane.take(slice)) break;
    for (const Part& part : slice.parts) reader.read(part, slice.memory + part.at);
    lane.send(slice);
  }
  for (Slice& slice : lane.slices) lane.wait(slice);
}

void store(Run& run, Lane& lane) {
  plain::Writer writer(run.options);
  std::deque<Slice*> fetching;
  for (size_t turn = 0;;) {
    while (fetching.size() < lane.slices.size()) {
      Slice& slice = lane.slices[turn % lane.slices.size()];
      if (!lane.take(slice)) break;
      lane.fetch(slice);
      fetching.push_back(&slice);
      ++turn;
    }
    if (fetching.empty()) return;
    Slice& slice = *fetching.front();
    fetching.pop_front();
    lane.wait(slice);
    for (const Part& part : slice.parts) writer.write(part, slice.memory + part.at);
  }
}

void answer(const Cost& cost, size_t bytes, const char* verified) {
  std::printf("{\"seconds\":%.9f,\"cpu\":%.6f,\"bytes\":%zu,\"verified\":%s}\n", cost.seconds, cost.cpu, bytes,
              verified);
  std::fflush(stdout);
}

// Pinned copies of 256 MiB, to the device or back.
double pinnedCopy(Machine& machine, bool to_device) {
  constexpr size_t kBytes = size_t{256} << 20;
  constexpr size_t kCopies = 8;
  char* const host = machine.pinned(kBytes);
  const kvo::CudaAddress device = machine.device(kBytes);
  kvo::CudaStream stream = nullptr;
  machine.check(machine.cuda().createStream(&stream, kvo::kCudaStreamNonBlocking), "cuStreamCreate");
  double best = 1e9;
  for (int repeat = 0; repeat < 4; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    for (size_t copy = 0; copy < kCopies; ++copy) {
      machine.check(to_device ? machine.cuda().toDeviceAsync(device, host, kBytes, stream)
                              : machine.cuda().toHostAsync(host, device, kBytes, stream),
                    "cuMemcpyAsync");
    }
    machine.check(machine.cuda().synchronizeStream(stream), "cuStreamSynchronize");
    best = std::min(best, since(start));
  }
  machine.check(machine.cuda().destroyStream(stream), "cuStreamDestroy");
  return static_cast<double>(kCopies * kBytes) / best / 1e9;
}

// What the device holds is known by its total and segment; a store of other files of the same total needs no new fill.
std::string held;

// Whole files, each by the thread that takes it.
void eachFile(Run& run, const std::function<void(size_t)>& work) {
  for (size_t file = run.next.fetch_add(1); file < run.end; file = run.next.fetch_add(1)) work(file);
}

void runLoad(Run& run, const CuFiles* cufile) {
  const Options& options = run.options;
  if (options.check) plain::poisonDevice(run);
  const Cost cost = timed(run, [&](Lane& lane) {
    if (cufile == nullptr) load(run, lane);
    else eachFile(run, [&](size_t file) { cufile->load(run, file); });
  });
  held = "";
  answer(cost, options.total(), !options.check ? "null" : plain::deviceHoldsPattern(run) ? "true" : "false");
}

void runStore(Run& run, const CuFiles* cufile) {
  const Options& options = run.options;
  const std::string wanted = std::to_string(options.total()) + '/' + std::to_string(options.segment);
  if (held != wanted) plain::fillDevice(run);
  held = wanted;
  plain::prepareStore(options);
  const Cost cost = timed(run, [&](Lane& lane) {
    if (cufile == nullptr) store(run, lane);
    else eachFile(run, [&](size_t file) { cufile->store(run, file); });
  });
  answer(cost, options.total(), !options.check ? "null" : plain::filesHoldPattern(run) ? "true" : "false");
}

}  // namespace

int main(int count, char** arguments) {
  std::string library;
  std::string cufile_library;
  std::string kernel;
  int ordinal = 0;
  for (int i = 1; i < count; i += 2) {
    const std::string name = arguments[i];
    const bool known = name == "--cuda" || name == "--cufile" || name == "--device" || name == "--kernel";
    if (!known || i + 1 == count) {
      std::fprintf(stderr, "usage: plain_gpu [--cuda LIBRARY] [--cufile LIBRARY] [--device N] [--kernel PTX]\n");
      return 2;
    }
    if (name == "--cuda") library = arguments[i + 1];
    else if (name == "--cufile") cufile_library = arguments[i + 1];
    else if (name == "--kernel") kernel = arguments[i + 1];
    else ordinal = std::atoi(arguments[i + 1]);
  }
  Machine machine(library, ordinal);
  std::fprintf(stderr, "plain_gpu: %s\n", machine.describe().c_str());

  std::unique_ptr<CuFiles> cufile;
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string what = line.substr(0, line.find(' '));
    if (what == "ceiling") {
      held = "";
      const double to_device = pinnedCopy(machine, true);
      std::printf("{\"toDevice\":%.3f,\"toHost\":%.3f}\n", to_device, pinnedCopy(machine, false));
      std::fflush(stdout);
      continue;
    }
    Options options;
    const std::string problem = options.parse(line.substr(std::min(line.size(), what.size())));
    if ((what != "load" && what != "store") || !problem.empty()) {
      std::fprintf(stderr, "plain_gpu: %s: %s\n", line.c_str(), problem.empty() ? "no such command" : problem.c_str());
      return 2;
    }
    if (options.segment != 0 && options.reach != Reach::kBatch) machine.loadKernel(kernel);
    // All of the memory at once, so that it stays where it is while threads use it.
    (void)machine.pinned(std::max(options.threads * options.slices * options.slice, size_t{256} << 20));
    const plain::Places places(options.total(), options.segment);
    Run run{options, machine, places, machine.device(options.total())};
    const bool by_cufile = options.via == Via::kCufile;
    if (by_cufile && cufile == nullptr) cufile = std::make_unique<CuFiles>(cufile_library);
    if (by_cufile) cufile->use(run);
    if (what == "load") runLoad(run, by_cufile ? cufile.get() : nullptr);
    else runStore(run, by_cufile ? cufile.get() : nullptr);
  }
  return 0;
}
