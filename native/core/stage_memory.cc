#include "stage_memory.h"

#include <utility>

namespace kvo {

StageMemory::~StageMemory() {
  if (memory_ == nullptr) return;
  const Device::Scope scope(*device_);
  (void)device_->cuda.freeHost(memory_);
}

char* StageMemory::take(CudaResult& error) {
  const std::lock_guard lock(mutex_);
  error = kCudaSuccess;
  if (memory_ == nullptr) {
    error = device_->cuda.allocateHost(&memory_, piece_bytes_ * pieces_, kCudaHostAllocPortable);
    if (error != kCudaSuccess) {
      memory_ = nullptr;
      return nullptr;
    }
    for (size_t piece = pieces_; piece > 0; --piece) {
      free_.push_back(static_cast<char*>(memory_) + (piece - 1) * piece_bytes_);
    }
  }
  if (free_.empty()) return nullptr;
  char* const piece = free_.back();
  free_.pop_back();
  return piece;
}

void StageMemory::giveBack(char* piece) {
  const std::lock_guard lock(mutex_);
  free_.push_back(piece);
}

CudaAddress StageMemory::takeDevice(CudaResult& error) {
  const std::lock_guard lock(mutex_);
  error = kCudaSuccess;
  if (staging_ == nullptr) {
    Failure why;
    staging_ = DeviceMemory::allocate(device_, gds_, piece_bytes_ * pieces_, why);
    error = why.code;
    if (staging_ == nullptr) return 0;
    for (size_t piece = pieces_; piece > 0; --piece) {
      free_staging_.push_back(staging_->address + (piece - 1) * piece_bytes_);
    }
  }
  if (free_staging_.empty()) return 0;
  const CudaAddress piece = free_staging_.back();
  free_staging_.pop_back();
  return piece;
}

void StageMemory::giveBackDevice(CudaAddress piece) {
  const std::lock_guard lock(mutex_);
  free_staging_.push_back(piece);
}

}  // namespace kvo
