#include "counters.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "report.h"

namespace kvo::fake {
namespace {

constexpr auto kCounters = static_cast<size_t>(Counter::kCount);
constexpr std::array<const char*, kCounters> kNames = {
    "violations", "deviceBlocks", "deviceBytes", "imports",      "pinnedBlocks", "pinnedBytes", "contexts",
    "streams",    "events",       "modules",     "copies",       "batches",      "batchCopies", "pageable",
    "launches",   "jobs",         "hostCalls",   "drivers",      "handles",      "buffers",     "bufferBytes",
    "underWay",   "reads",        "writes",      "unregistered", "posix",
};
constexpr size_t kLine = 40;  // bytes, line feed included

class Counters {
 public:
  Counters() {
    const int fd = ::memfd_create("kvo-fake-counters:" KVO_FAKE_LIBRARY, MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, kCounters * kLine) != 0) misused("cannot make a memfd for counters");
    void* const text = ::mmap(nullptr, kCounters * kLine, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED) misused("cannot map the counters");
    text_ = static_cast<char*>(text);
    for (size_t index = 0; index < kCounters; ++index) print(index);
  }

  void add(size_t index, long long change) {
    const std::lock_guard lock(mutex_);
    values_[index] += change;
    print(index);
  }

 private:
  void print(size_t index) {
    char line[kLine + 1];
    (void)std::snprintf(line, sizeof line, "%-16s %22lld\n", kNames[index], values_[index]);
    std::memcpy(text_ + index * kLine, line, kLine);
  }

  std::mutex mutex_;
  std::array<long long, kCounters> values_{};
  char* text_ = nullptr;
};

// Never destroyed, like all that the fakes hold: threads of theirs live until the process ends.
Counters& counters() {
  static Counters& all = *new Counters();
  return all;
}

// Made when the library is loaded, so that a test finds zeros rather than nothing.
[[maybe_unused]] const Counters& made = counters();

}  // namespace

void count(Counter counter, long long change) { counters().add(static_cast<size_t>(counter), change); }

}  // namespace kvo::fake
