#include "copy_speed.h"

#include <chrono>
#include <cstring>

namespace kvo {
namespace {

// What a measurement holds; the device's context is current while it lives.
class Copies {
 public:
  explicit Copies(const Device& device) : cuda_(device.cuda) {}
  ~Copies() {
    if (stream_ != nullptr) (void)cuda_.destroyStream(stream_);
    if (there_ != 0) (void)cuda_.free(there_);
    if (here_ != nullptr) (void)cuda_.freeHost(here_);
  }
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  bool prepare(size_t bytes, Failure& why) {
    bytes_ = bytes;
    if (!worked("cuMemHostAlloc", cuda_.allocateHost(&here_, bytes, kCudaHostAllocPortable), why)) return false;
    // So that no run pays for its pages.
    std::memset(here_, 1, bytes);
    return worked("cuMemAlloc", cuda_.allocate(&there_, bytes), why) &&
           worked("cuStreamCreate", cuda_.createStream(&stream_, kCudaStreamNonBlocking), why);
  }

  bool run(bool to_device, double& seconds, Failure& why) {
    const auto start = std::chrono::steady_clock::now();
    const CudaResult given = to_device ? cuda_.toDeviceAsync(there_, here_, bytes_, stream_)
                                       : cuda_.toHostAsync(here_, there_, bytes_, stream_);
    if (!worked("cuMemcpyAsync", given, why)) return false;
    if (!worked("cuStreamSynchronize", cuda_.synchronizeStream(stream_), why)) return false;
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return true;
  }

 private:
  bool worked(const char* call, CudaResult error, Failure& why) const {
    if (error != kCudaSuccess) why = {call, error, cuda_.describe(error)};
    return error == kCudaSuccess;
  }

  const Cuda& cuda_;
  size_t bytes_ = 0;
  void* here_ = nullptr;
  CudaAddress there_ = 0;
  CudaStream stream_ = nullptr;
};

}  // namespace

bool measureCopies(const Device& device, size_t bytes, size_t runs, CopySpeed& speed, Failure& why) {
  const Device::Scope scope(device);
  if (scope.error != kCudaSuccess) {
    why = {"cuCtxPushCurrent", scope.error, device.cuda.describe(scope.error)};
    return false;
  }
  Copies copies(device);
  if (!copies.prepare(bytes, why)) return false;
  // The first of each way warms up.
  for (size_t run = 0; run <= runs; ++run) {
    double to_device = 0;
    double to_host = 0;
    if (!copies.run(true, to_device, why) || !copies.run(false, to_host, why)) return false;
    if (run == 0) continue;
    speed.to_device.push_back(to_device);
    speed.to_host.push_back(to_host);
  }
  return true;
}

}  // namespace kvo
