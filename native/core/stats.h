// Counters of one engine. Relaxed atomics: each is right by itself, together they are a snapshot of no one moment.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvo {

enum class Stat : uint8_t {
  kExists,
  kLoads,
  kStores,
  kFailures,
  kAborted,
  kStuck,
  kRetries,
  kLoadBytesBuffered,
  kLoadBytesDirect,
  kStoreBytesBuffered,
  kStoreBytesDirect,
  kLoadBytesStaged,
  kStoreBytesStaged,
  kLoadBytesGds,
  kStoreBytesGds,
  kGdsRefused,
  kBouncedBytes,
  kFilesOpened,
  kFilesReused,
  kDirectRefused,
  kDirectoriesMade,
  kLinksRefused,
  kSidecarFailures,
  kCount,
};
// In the order of Stat; part of the door.
inline constexpr std::array<const char*, static_cast<size_t>(Stat::kCount)> kStatNames = {
    "exists",           "loads",
    "stores",           "failures",
    "aborted",          "stuck",
    "retries",          "loadBytesBuffered",
    "loadBytesDirect",  "storeBytesBuffered",
    "storeBytesDirect", "loadBytesStaged",
    "storeBytesStaged", "loadBytesGds",
    "storeBytesGds",    "gdsRefused",
    "bouncedBytes",     "filesOpened",
    "filesReused",      "directRefused",
    "directoriesMade",  "linksRefused",
    "sidecarFailures",
};

class Stats {
 public:
  void add(Stat stat, uint64_t amount = 1) { at(stat).fetch_add(amount, std::memory_order_relaxed); }
  uint64_t get(Stat stat) const { return values_[static_cast<size_t>(stat)].load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t>& at(Stat stat) { return values_[static_cast<size_t>(stat)]; }
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Stat::kCount)> values_{};
};

}  // namespace kvo
