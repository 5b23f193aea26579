// Memory that operations may name: a number for each region, and how many batches use it. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "spans.h"

namespace kvo {

class Regions {
 public:
  uint64_t add(char* base, size_t bytes, bool device = false) {
    regions_.emplace(++last_, Region{base, bytes, 0, device});
    return last_;
  }

  // The span, or {nullptr, 0} where region, offset or length are out of bounds.
  Span resolve(uint64_t region, uint64_t offset, uint64_t length) const {
    const auto found = regions_.find(region);
    if (found == regions_.end() || offset > found->second.bytes || length > found->second.bytes - offset) return {};
    return {found->second.base + offset, static_cast<size_t>(length)};
  }

  Span whole(uint64_t region) const {
    const auto found = regions_.find(region);
    return found == regions_.end() ? Span{} : Span{found->second.base, found->second.bytes};
  }

  bool isDevice(uint64_t region) const {
    const auto found = regions_.find(region);
    return found != regions_.end() && found->second.device;
  }

  void lease(uint64_t region) { ++regions_.at(region).leases; }
  void giveBack(uint64_t region) { --regions_.at(region).leases; }

  // False while leased, or where there is no such region.
  bool remove(uint64_t region) {
    const auto found = regions_.find(region);
    if (found == regions_.end() || found->second.leases > 0) return false;
    regions_.erase(found);
    return true;
  }

 private:
  struct Region {
    char* base;
    size_t bytes;
    size_t leases;
    bool device;
  };
  std::unordered_map<uint64_t, Region> regions_;
  uint64_t last_ = 0;
};

}  // namespace kvo
