// One GPU and the memory that the plain runs use, allocated once: pinned host memory, device memory, device staging.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "shim/cuda.h"

namespace plain {

// Ends the process where something a benchmark cannot do without failed.
void require(bool good, const char* what);

// One move of the kernel: bytes between any two addresses that the device sees.
struct Job {
  kvo::CudaAddress from;
  kvo::CudaAddress to;
  uint64_t bytes;
};
static_assert(sizeof(Job) == 24);

class Machine {
 public:
  // `library` is the driver's path, or empty for the loader's. Ends the process where there is no GPU.
  Machine(const std::string& library, int ordinal);

  // Makes the device current in the calling thread.
  void enter() const { check(cuda_->setContext(context_), "cuCtxSetCurrent"); }
  void check(kvo::CudaResult result, const char* what) const;
  const kvo::Cuda& cuda() const { return *cuda_; }

  // At least so many bytes, page-aligned; what was there before may be gone.
  char* pinned(size_t bytes);
  Job* jobs(size_t bytes);
  kvo::CudaAddress device(size_t bytes);
  kvo::CudaAddress staging(size_t bytes);

  // The move kernel; loaded from native/kernels, or from the PTX or cubin file at `path`.
  void loadKernel(const std::string& path);
  // Starts it, with 512 threads a block.
  void move(const Job* jobs, size_t count, size_t blocks, kvo::CudaStream stream) const;

  std::string describe() const;

 private:
  template <typename Address>
  struct Area {
    Address address{};
    size_t bytes = 0;
  };
  void* host(Area<void*>& area, size_t bytes);
  kvo::CudaAddress onDevice(Area<kvo::CudaAddress>& area, size_t bytes);

  std::shared_ptr<const kvo::Cuda> cuda_;
  kvo::CudaDeviceHandle device_ = 0;
  kvo::CudaContext context_ = nullptr;
  kvo::CudaFunction kernel_ = nullptr;
  Area<void*> pinned_, jobs_;
  Area<kvo::CudaAddress> target_, staging_;
};

}  // namespace plain
