// Memory for all stages of an engine, in one piece each: pinned host memory, and where small segments need it, device
// memory to stage them in. One large allocation is faster to make than many, and a chunk's first use need not wait for it.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "device.h"
#include "device_memory.h"

namespace kvo {

// Safe for any thread; a CUDA context must be current in it.
class StageMemory {
 public:
  // Nothing is allocated before the first take.
  StageMemory(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds, size_t piece_bytes, size_t pieces)
      : device_(std::move(device)), gds_(std::move(gds)), piece_bytes_(piece_bytes), pieces_(pieces) {}
  ~StageMemory();
  StageMemory(const StageMemory&) = delete;
  StageMemory& operator=(const StageMemory&) = delete;

  size_t pieceBytes() const { return piece_bytes_; }
  // A piece, or null with the driver's error where there is none: all are taken, or it can't be had.
  char* take(CudaResult& error);
  void giveBack(char* piece);
  // The same of device memory; 0.
  CudaAddress takeDevice(CudaResult& error);
  void giveBackDevice(CudaAddress piece);

 private:
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<Gds> gds_;
  const size_t piece_bytes_;
  const size_t pieces_;
  std::mutex mutex_;
  void* memory_ = nullptr;
  std::vector<char*> free_;
  std::unique_ptr<DeviceMemory> staging_;
  std::vector<CudaAddress> free_staging_;
};

}  // namespace kvo
