#include "pinned.h"

#include <utility>

namespace kvo {

PinnedPool::~PinnedPool() {
  if (memory_ == nullptr) return;
  const Device::Scope scope(*device_);
  (void)device_->cuda.freeHost(memory_);
}

char* PinnedPool::take(CudaResult& error) {
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

void PinnedPool::giveBack(char* piece) {
  const std::lock_guard lock(mutex_);
  free_.push_back(piece);
}

}  // namespace kvo
