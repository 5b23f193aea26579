// One GPU as an engine uses it: its primary context, what it is, and the kernel that moves small segments.
//
//   Failure why;
//   const std::shared_ptr<Device> device = Device::open("", 0, why);   // null: `why` says at which call, and what
//   device->enter();                                                    // once in each thread that calls CUDA
//
// Safe for any thread. The context is released with the last owner.
#pragma once

#include <sched.h>

#include <memory>
#include <mutex>
#include <string>

#include "../shim/cuda.h"

namespace kvo {

// What could not be had from CUDA or cuFile: the call, the library's own number (0 where there is none), and its words.
struct Failure {
  std::string call;
  int code = 0;
  std::string text;
};

class Device {
 public:
  static std::shared_ptr<Device> open(const std::string& library, int index, Failure& why);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Makes the context current in the calling thread, for good: for threads of our own.
  CudaResult enter() const { return cuda.setContext(context_); }
  // The same while it lives, for threads that may use CUDA for themselves.
  class Scope {
   public:
    explicit Scope(const Device& device) : device_(device), error(device.cuda.pushContext(device.context_)) {}
    ~Scope() {
      CudaContext own = nullptr;
      if (error == kCudaSuccess) (void)device_.cuda.popContext(&own);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const Device& device_;

   public:
    const CudaResult error;
  };
  // Keeps the calling thread on the processors of the GPU's NUMA node, where the machine has several.
  void stayNear() const;
  // The kernel of native/kernels/move.cu, null where it could not be loaded. The context must be current.
  CudaFunction mover();

  const Cuda& cuda;
  const int index;
  std::string name;
  std::string pci_bus_id;
  size_t memory = 0;       // bytes
  int driver_version = 0;  // 1000 × major + 10 × minor, of CUDA
  int numa_node = -1;      // −1: the machine has one, or does not say

 private:
  Device(std::shared_ptr<const Cuda> library, int index, CudaDeviceHandle handle, CudaContext context);
  void findNode();

  const std::shared_ptr<const Cuda> library_;
  const CudaDeviceHandle handle_;
  const CudaContext context_;
  cpu_set_t near_{};
  std::once_flag mover_loaded_;
  CudaModule module_ = nullptr;
  CudaFunction mover_ = nullptr;
};

}  // namespace kvo
