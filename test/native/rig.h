// What the engine's tests share: a directory of their own, payloads, batches, and an engine whose settlements are
// counted.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "core/engine.h"
#include "core/sums.h"

namespace kvo {

inline constexpr const char* kSidecar = ".metadata";
// Waits end by what is waited for; this only turns a hang into a failure.
inline constexpr std::chrono::seconds kTooLong{60};

// Numbers that look random and are the same each time (splitmix64).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t word = state_ += 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

// A directory that is gone with the object. In memory unless `on_disk`.
class Directory {
 public:
  explicit Directory(bool on_disk = false) {
    const char* given = std::getenv("TMPDIR");
    std::string base = given != nullptr ? given : "/tmp";
    if (!on_disk && access("/dev/shm", W_OK) == 0) base = "/dev/shm";
    path_ = base + "/kv-offload-test-XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }
  // A chunk's data file, two levels down as the layout has it.
  std::string chunk(const std::string& name) const { return path_ + "/12/34/" + name; }
  std::string chunk(size_t number) const { return chunk("chunk-" + std::to_string(number)); }

  // All files below, by name, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      if (!entry.is_directory()) found.push_back(entry.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  size_t temporaries() const {
    const auto all = names();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const std::string& name) {
      return name.rfind(".kvo-", 0) == 0 || name.find(".tmp") != std::string::npos;
    }));
  }

 private:
  std::string path_;
};

inline std::vector<char> readFile(const std::string& path) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(path, missing);
  std::vector<char> whole(missing ? 0 : bytes);
  std::ifstream(path, std::ios::binary).read(whole.data(), static_cast<std::streamsize>(whole.size()));
  return whole;
}
inline void writeFile(const std::string& path, const std::vector<char>& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
inline struct stat statOf(const std::string& path) {
  struct stat info {};
  CHECK_EQ(::stat(path.c_str(), &info), 0);
  return info;
}
inline bool present(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
inline size_t openDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

inline std::vector<char> someBytes(size_t count, uint64_t seed) {
  std::vector<char> bytes(count);
  Numbers numbers(seed);
  for (size_t at = 0; at < count; at += 8) {
    const uint64_t word = numbers.next();
    std::copy_n(reinterpret_cast<const char*>(&word), std::min<size_t>(8, count - at), bytes.data() + at);
  }
  return bytes;
}
// What a chunk's header and payload are in these tests, told from its seed.
inline std::vector<char> headerOf(uint64_t seed) { return someBytes(kHeaderBytes, ~seed); }

struct Op {
  Kind kind = Kind::kExists;
  std::string path;
  std::vector<Span> spans;
  uint64_t header = 0;  // seed of a store's
  uint32_t sum_block = 0;
  uint32_t sum_at = 0;
  bool sync = false;
  bool replace = false;
  // Its spans are device memory; through cuFile; in segments too small for a copy each.
  bool device = false;
  bool gds = false;
  bool small = false;
};

inline Op exists(std::string path) { return {Kind::kExists, std::move(path), {}}; }
inline Op load(std::string path, std::vector<char>& into) {
  return {Kind::kLoad, std::move(path), {{into.data(), into.size()}}};
}
inline Op store(std::string path, std::vector<char>& from, uint64_t header = 0) {
  return {Kind::kStore, std::move(path), {{from.data(), from.size()}}, header};
}

inline std::shared_ptr<Batch> batchOf(const std::vector<Op>& ops) {
  struct Owned {
    Batch batch;
    std::vector<char> headers;
  };
  const auto owned = std::make_shared<Owned>();
  owned->headers.resize(ops.size() * kHeaderBytes);
  std::shared_ptr<Batch> batch(owned, &owned->batch);
  batch->count = ops.size();
  batch->operations = std::make_unique<Operation[]>(ops.size());
  batch->answers.resize(ops.size());
  batch->sidecar_suffix = kSidecar;
  batch->headers = owned->headers.data();
  for (const Op& op : ops) batch->paths += op.path + '\0';
  size_t path = 0;
  size_t sums = 0;
  for (size_t index = 0; index < ops.size(); ++index) {
    const Op& from = ops[index];
    Operation& to = batch->operations[index];
    to.kind = from.kind;
    to.sync = from.sync;
    to.replace = from.replace;
    to.device = from.device;
    to.gds = from.gds;
    to.small = from.small;
    to.path = batch->paths.c_str() + path;
    path += from.path.size() + 1;
    to.first_span = static_cast<uint32_t>(batch->spans.size());
    for (const Span& span : from.spans) {
      if (span.bytes > 0) batch->spans.push_back(span);
      to.bytes += span.bytes;
    }
    to.last_span = static_cast<uint32_t>(batch->spans.size());
    to.sum_block = from.sum_block;
    to.sum_at = from.sum_at;
    to.first_sum = sums;
    sums += blockCount(to.bytes, to.sum_block);
    if (from.kind == Kind::kStore) {
      const auto header = headerOf(from.header);
      std::copy(header.begin(), header.end(), batch->header(index));
    }
  }
  batch->sums.resize(sums);
  return batch;
}

// Counts how often each batch settled.
class Settlements {
 public:
  void add(const std::shared_ptr<Batch>& batch) {
    const std::lock_guard lock(mutex_);
    ++times_[batch.get()];
    changed_.notify_all();
  }
  int times(const std::shared_ptr<Batch>& batch) {
    const std::lock_guard lock(mutex_);
    return times_[batch.get()];
  }
  bool wait(const std::shared_ptr<Batch>& batch) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kTooLong, [&] { return times_[batch.get()] > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const Batch*, int> times_;
};

// A deadline for calls that a test lets hang: long for every other call, even on a busy machine.
inline constexpr std::chrono::milliseconds kShort{250};

inline void waitUntil(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + kTooLong;
  while (!holds() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(holds());
}

class Rig {
 public:
  explicit Rig(const EngineOptions& options = {}, std::shared_ptr<Files> files = posixFiles())
      : files_(files),
        engine_(std::make_unique<Engine>(options, std::move(files),
                                         [settled = settled_](const auto& batch) { settled->add(batch); })) {}
  Rig(const EngineOptions& options, const std::string& faults) : Rig(options, faultyFiles(posixFiles(), faults)) {}
  // Each batch has settled once by now, whatever happened to it.
  ~Rig() noexcept(false) {
    engine_.reset();
    if (std::uncaught_exceptions() > 0) return;
    for (const auto& batch : batches_) CHECK_EQ(settled_->times(batch), 1);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  Engine& engine() { return *engine_; }
  uint64_t stat(Stat stat) const { return engine_->stats().get(stat); }
  // The threads that hang go on; waitUntilBack(), once they may come back, waits until all have.
  void destroyEngine() { engine_.reset(); }
  void waitUntilBack() {
    const std::weak_ptr<Files> files = files_;
    files_.reset();
    waitUntil([&] { return files.expired(); });
  }

  std::shared_ptr<Batch> submit(const std::vector<Op>& ops) {
    auto batch = batchOf(ops);
    CHECK(engine_->submit(batch));
    batches_.push_back(batch);
    return batch;
  }
  bool settled(const std::shared_ptr<Batch>& batch) { return settled_->times(batch) > 0; }
  void wait(const std::shared_ptr<Batch>& batch) { CHECK(settled_->wait(batch)); }
  std::shared_ptr<Batch> runBatch(const std::vector<Op>& ops) {
    auto batch = submit(ops);
    wait(batch);
    return batch;
  }
  Answer run(const Op& op) { return runBatch({op})->answers[0]; }

 private:
  const std::shared_ptr<Settlements> settled_ = std::make_shared<Settlements>();
  std::vector<std::shared_ptr<Batch>> batches_;
  std::shared_ptr<Files> files_;
  std::unique_ptr<Engine> engine_;
};

// A data file and its sidecar hold exactly this.
inline void checkChunk(const std::string& path, const std::vector<char>& header, const std::vector<char>& payload) {
  std::vector<char> whole = header;
  whole.insert(whole.end(), payload.begin(), payload.end());
  CHECK(readFile(path) == whole);
  const auto sidecar = readFile(path + kSidecar);
  CHECK(sidecar.size() >= kHeaderBytes && std::equal(header.begin(), header.end(), sidecar.begin()));
}

}  // namespace kvo
