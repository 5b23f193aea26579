#include "machine.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#if __has_include("kernels/move_ptx.h")
#include "kernels/move_ptx.h"
#define PLAIN_HAS_KERNEL 1
#endif

namespace plain {

void require(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

Machine::Machine(const std::string& library, int ordinal) {
  std::string why;
  cuda_ = kvo::Cuda::load(library, why);
  if (cuda_ == nullptr) {
    std::fprintf(stderr, "plain_gpu: no CUDA driver: %s\n", why.c_str());
    std::exit(3);
  }
  check(cuda_->init(0), "cuInit");
  check(cuda_->device(&device_, ordinal), "cuDeviceGet");
  check(cuda_->retainContext(&context_, device_), "cuDevicePrimaryCtxRetain");
  enter();
}

void Machine::check(kvo::CudaResult result, const char* what) const {
  if (result == kvo::kCudaSuccess) return;
  std::fprintf(stderr, "plain_gpu: %s: %s\n", what, cuda_->describe(result).c_str());
  std::exit(1);
}

void* Machine::host(Area<void*>& area, size_t bytes) {
  if (bytes > area.bytes) {
    if (area.address != nullptr) check(cuda_->freeHost(area.address), "cuMemFreeHost");
    area = {};
    check(cuda_->allocateHost(&area.address, bytes, kvo::kCudaHostAllocPortable), "cuMemHostAlloc");
    area.bytes = bytes;
  }
  return area.address;
}

kvo::CudaAddress Machine::onDevice(Area<kvo::CudaAddress>& area, size_t bytes) {
  if (bytes > area.bytes) {
    if (area.address != 0) check(cuda_->free(area.address), "cuMemFree");
    area = {};
    check(cuda_->allocate(&area.address, bytes), "cuMemAlloc");
    area.bytes = bytes;
  }
  return area.address;
}

char* Machine::pinned(size_t bytes) { return static_cast<char*>(host(pinned_, bytes)); }
Job* Machine::jobs(size_t bytes) { return static_cast<Job*>(host(jobs_, bytes)); }
kvo::CudaAddress Machine::device(size_t bytes) { return onDevice(target_, bytes); }
kvo::CudaAddress Machine::staging(size_t bytes) { return onDevice(staging_, bytes); }

void Machine::loadKernel(const std::string& path) {
  if (kernel_ != nullptr) return;
  std::string image;
  if (!path.empty()) {
    std::ifstream file(path, std::ios::binary);
    require(file.good(), path.c_str());
    image.assign(std::istreambuf_iterator<char>(file), {});
  }
#ifdef PLAIN_HAS_KERNEL
  if (path.empty()) image = kvo::kMovePtx;
#endif
  if (image.empty()) {
    std::fprintf(stderr, "plain_gpu: built without native/kernels/move_ptx.h: name a kernel by --kernel FILE\n");
    std::exit(2);
  }
  kvo::CudaModule module = nullptr;
  check(cuda_->loadModule(&module, image.c_str()), "cuModuleLoadData");
  check(cuda_->findFunction(&kernel_, module, "kvo_move"), "cuModuleGetFunction");
}

void Machine::move(const Job* jobs, size_t count, size_t blocks, kvo::CudaStream stream) const {
  auto number = static_cast<unsigned>(count);
  void* parameters[] = {&jobs, &number};
  check(cuda_->launchKernel(kernel_, static_cast<unsigned>(blocks), 1, 1, 512, 1, 1, 0, stream, parameters, nullptr),
        "cuLaunchKernel");
}

std::string Machine::describe() const {
  char name[128] = "";
  int version = 0;
  (void)cuda_->deviceName(name, sizeof name, device_);
  (void)cuda_->driverVersion(&version);
  return std::string(name) + ", CUDA driver " + std::to_string(version / 1000) + '.' +
         std::to_string(version % 1000 / 10) + (cuda_->copyBatch == nullptr ? ", no batch copy" : ", batch copy");
}

}  // namespace plain
