// Pinned host memory for all stages of an engine, in one piece: the driver maps a large one with large pages, which
// reading files into is faster for.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "device.h"

namespace kvo {

// Safe for any thread; a CUDA context must be current in it.
class PinnedPool {
 public:
  // Nothing is allocated before the first take.
  PinnedPool(std::shared_ptr<Device> device, size_t piece_bytes, size_t pieces)
      : device_(std::move(device)), piece_bytes_(piece_bytes), pieces_(pieces) {}
  ~PinnedPool();
  PinnedPool(const PinnedPool&) = delete;
  PinnedPool& operator=(const PinnedPool&) = delete;

  size_t pieceBytes() const { return piece_bytes_; }
  // A piece, or null with the driver's error where there is none: all are taken, or it can't be had.
  char* take(CudaResult& error);
  void giveBack(char* piece);

 private:
  const std::shared_ptr<Device> device_;
  const size_t piece_bytes_;
  const size_t pieces_;
  std::mutex mutex_;
  void* memory_ = nullptr;
  std::vector<char*> free_;
};

}  // namespace kvo
