#include <algorithm>
#include <cstring>
#include <vector>

#include "counters.h"
#include "driver.h"
#include "report.h"

namespace kvo::fake {
namespace {

struct Job {
  uint64_t from;
  uint64_t to;
  uint64_t bytes;
};

constexpr uint64_t kMostBytes = 8 << 10;

// As the device sees it: pinned or its own. Pageable memory it does not see at all.
bool readJobs(CudaAddress address, unsigned count, std::vector<Job>& jobs) {
  jobs.resize(count);
  const size_t bytes = count * sizeof(Job);
  const Located at = driver().memory.locate(address, bytes);
  if (at.what == Located::What::kDevice) return readBlock(*at.block, address, jobs.data(), bytes);
  if (at.what != Located::What::kPinned) return false;
  std::memcpy(jobs.data(), reinterpret_cast<const void*>(address), bytes);  // NOLINT(performance-no-int-to-ptr)
  return true;
}

std::vector<Copy> copiesOf(const std::vector<Job>& jobs) {
  std::vector<Copy> copies;
  copies.reserve(jobs.size());
  for (const Job& job : jobs) {
    if (job.bytes > 0) copies.push_back({job.to, job.from, job.bytes});
  }
  return copies;
}

bool overlap(std::vector<Copy> copies) {
  std::sort(copies.begin(), copies.end(), [](const Copy& a, const Copy& b) { return a.to < b.to; });
  for (size_t index = 1; index < copies.size(); ++index) {
    if (copies[index - 1].to + copies[index - 1].bytes > copies[index].to) return true;
  }
  return false;
}

bool isSeen(const Located& at) { return at.what == Located::What::kDevice || at.what == Located::What::kPinned; }

bool moveAll(const std::vector<Copy>& copies) {
  Memory& memory = driver().memory;
  if (firstBadCopy(memory, copies, "a job of kvo_move") != copies.size()) return false;
  if (overlap(copies)) violation("jobs of one kvo_move write the same bytes");
  std::vector<char> between(kMostBytes);
  for (const Copy& copy : copies) {
    if (copy.bytes > kMostBytes) violation("a job of kvo_move of more than 8 KiB: " + std::to_string(copy.bytes));
    const Located to = memory.locate(copy.to, copy.bytes);
    const Located from = memory.locate(copy.from, copy.bytes);
    if (!isSeen(to) || !isSeen(from) || !copyBytes(to, from, copy.bytes)) return false;
  }
  return true;
}

}  // namespace

CudaResult launchMove(Context& context, Stream& stream, unsigned threads, CudaAddress jobs, unsigned number) {
  if (threads % 32 != 0) violation("kvo_move launched with " + std::to_string(threads) + " threads a block");
  Work work;
  work.fault = "streamKernel";
  std::vector<Job> now;
  // Read here for what it touches alone; the device reads it when it gets there.
  if (readJobs(jobs, number, now)) work.copies = copiesOf(now);
  work.copies.push_back({jobs, jobs, number * sizeof(Job)});
  work.run = [jobs, number](Health& health) {
    std::vector<Job> list;
    if (!readJobs(jobs, number, list) || !moveAll(copiesOf(list))) health.fail(kIllegalAddress);
    count(Counter::kJobs, number);
  };
  driver().order(context, stream);
  stream.submit(std::move(work));
  count(Counter::kLaunches);
  return kCudaSuccess;
}

}  // namespace kvo::fake
