#include "verify.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <thread>

#include "file_life.h"

namespace plain {
namespace {

constexpr size_t kWindow = size_t{64} << 20;
constexpr size_t kThreads = 8;

// In parallel over [0, count), in kThreads runs.
void spread(size_t count, const std::function<void(size_t first, size_t last)>& work) {
  std::vector<std::thread> pool;
  for (size_t thread = 0; thread < kThreads; ++thread)
    pool.emplace_back([&, thread] { work(count * thread / kThreads, count * (thread + 1) / kThreads); });
  for (std::thread& thread : pool) thread.join();
}

// The words that memory's bytes [from, from + bytes) must be.
void expected(const Places& places, size_t from, size_t bytes, uint64_t* words) {
  for (size_t at = 0; at < bytes;) {
    const size_t origin = places.originOf(from + at);
    const size_t run = std::min(bytes - at, places.segment() - (from + at) % places.segment());
    for (size_t word = 0; word < run / 8; ++word) words[at / 8 + word] = wordAt(origin / 8 + word);
    at += run;
  }
}

}  // namespace

void fillDevice(const Run& run) {
  char* const window = run.machine.pinned(kWindow);
  for (size_t from = 0; from < run.options.total(); from += kWindow) {
    const size_t bytes = std::min(kWindow, run.options.total() - from);
    spread(bytes / 8, [&](size_t first, size_t last) {
      expected(run.places, from + first * 8, (last - first) * 8, reinterpret_cast<uint64_t*>(window) + first);
    });
    run.machine.check(run.machine.cuda().toDevice(run.target + from, window, bytes), "cuMemcpyHtoD");
  }
}

void poisonDevice(const Run& run) {
  char* const window = run.machine.pinned(kWindow);
  std::memset(window, 0xA5, kWindow);
  for (size_t from = 0; from < run.options.total(); from += kWindow) {
    const size_t bytes = std::min(kWindow, run.options.total() - from);
    run.machine.check(run.machine.cuda().toDevice(run.target + from, window, bytes), "cuMemcpyHtoD");
  }
}

bool deviceHoldsPattern(const Run& run) {
  char* const window = run.machine.pinned(kWindow);
  std::atomic<bool> same{true};
  for (size_t from = 0; from < run.options.total() && same; from += kWindow) {
    const size_t bytes = std::min(kWindow, run.options.total() - from);
    run.machine.check(run.machine.cuda().toHost(window, run.target + from, bytes), "cuMemcpyDtoH");
    spread(bytes / 8, [&](size_t first, size_t last) {
      std::vector<uint64_t> words(last - first);
      expected(run.places, from + first * 8, words.size() * 8, words.data());
      if (std::memcmp(words.data(), window + first * 8, words.size() * 8) != 0) same = false;
    });
  }
  return same;
}

bool filesHoldPattern(const Run& run) {
  std::atomic<bool> same{true};
  const size_t bytes = run.options.bytes;
  spread(run.options.files, [&](size_t first, size_t last) {
    std::vector<uint64_t> words(bytes / 8);
    for (size_t file = first; file < last && same; ++file) {
      const std::string path = pathOf(run.options, file);
      const int fd = open((path + ".metadata").c_str(), O_RDONLY | O_CLOEXEC);
      require(fd >= 0, path.c_str());
      for (size_t done = 0; done < bytes;) {
        const ssize_t got =
            pread(fd, reinterpret_cast<char*>(words.data()) + done, bytes - done, static_cast<off_t>(kHeader + done));
        require(got > 0, "pread");
        done += static_cast<size_t>(got);
      }
      (void)close(fd);
      for (size_t word = 0; word < words.size(); ++word)
        if (words[word] != wordAt(file * bytes / 8 + word)) same = false;
    }
  });
  return same;
}

}  // namespace plain
