#include "device_memory.h"

#include <algorithm>
#include <utility>

namespace kvo {
namespace {

Failure failureOf(const Device& device, const char* call, CudaResult code) {
  return {call, code, device.cuda.describe(code)};
}

// CUDA_ERROR_INVALID_VALUE, for what the driver would not find out.
constexpr int kInvalidValue = 1;

// Device memory of this GPU, and all of it in one allocation.
bool isOnDevice(const Device& device, CudaAddress address, size_t bytes, Failure& why) {
  const Cuda& cuda = device.cuda;
  unsigned type = 0;
  CudaResult error = cuda.pointerAttribute(&type, kCudaPointerMemoryType, address);
  if (error != kCudaSuccess) {
    why = failureOf(device, "cuPointerGetAttribute", error);
    return false;
  }
  int ordinal = -1;
  error = cuda.pointerAttribute(&ordinal, kCudaPointerDeviceOrdinal, address);
  if (error != kCudaSuccess || type != kCudaMemoryDevice || ordinal != device.index) {
    const std::string where = type == kCudaMemoryDevice ? "memory of device " + std::to_string(ordinal) : "host memory";
    why = {"cuPointerGetAttribute", kInvalidValue,
           "it is " + where + ", not of device " + std::to_string(device.index)};
    return false;
  }
  CudaAddress start = 0;
  size_t size = 0;
  error = cuda.pointerAttribute(&start, kCudaPointerRangeStart, address);
  if (error == kCudaSuccess) error = cuda.pointerAttribute(&size, kCudaPointerRangeSize, address);
  if (error != kCudaSuccess) {
    why = failureOf(device, "cuPointerGetAttribute", error);
    return false;
  }
  const size_t offset = address - start;
  if (offset > size || bytes > size - offset) {
    why = {"cuPointerGetAttribute", kInvalidValue,
           "its allocation has " + std::to_string(size - std::min(offset, size)) + " bytes from there on"};
    return false;
  }
  return true;
}

}  // namespace

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds, Origin origin)
    : device_(std::move(device)), gds_(std::move(gds)), origin_(origin) {}

void DeviceMemory::registerIt() {
  if (gds_ != nullptr) registered = gds_->registerMemory(address, bytes, not_registered);
}

std::unique_ptr<DeviceMemory> DeviceMemory::allocate(const std::shared_ptr<Device>& device, std::shared_ptr<Gds> gds,
                                                     size_t bytes, Failure& why) {
  std::unique_ptr<DeviceMemory> memory(new DeviceMemory(device, std::move(gds), Origin::kAllocated));
  const Device::Scope scope(*device);
  const CudaResult error = device->cuda.allocate(&memory->address, bytes);
  if (error != kCudaSuccess) {
    why = failureOf(*device, "cuMemAlloc", error);
    size_t free = 0;
    size_t total = 0;
    if (device->cuda.memoryInfo(&free, &total) == kCudaSuccess) {
      why.text += "; " + std::to_string(free >> 20) + " of " + std::to_string(total >> 20) + " MiB are free";
    }
    memory->address = 0;
    return nullptr;
  }
  memory->bytes = bytes;
  memory->registerIt();
  return memory;
}

std::unique_ptr<DeviceMemory> DeviceMemory::borrow(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds,
                                                   CudaAddress address, size_t bytes, Failure& why) {
  const Device::Scope scope(*device);
  if (!isOnDevice(*device, address, bytes, why)) return nullptr;
  std::unique_ptr<DeviceMemory> memory(new DeviceMemory(std::move(device), std::move(gds), Origin::kBorrowed));
  memory->address = address;
  memory->bytes = bytes;
  memory->registerIt();
  return memory;
}

std::unique_ptr<DeviceMemory> DeviceMemory::open(const std::shared_ptr<Device>& device, std::shared_ptr<Gds> gds,
                                                 const CudaIpcHandle& handle, size_t offset, size_t bytes,
                                                 Failure& why) {
  std::unique_ptr<DeviceMemory> memory(new DeviceMemory(device, std::move(gds), Origin::kOpened));
  const Device::Scope scope(*device);
  const CudaResult error = device->cuda.openIpc(&memory->mapped_, handle, kCudaIpcLazyPeerAccess);
  if (error != kCudaSuccess) {
    why = failureOf(*device, "cuIpcOpenMemHandle", error);
    return nullptr;
  }
  if (!isOnDevice(*device, memory->mapped_ + offset, bytes, why)) return nullptr;
  memory->address = memory->mapped_ + offset;
  memory->bytes = bytes;
  memory->registerIt();
  return memory;
}

DeviceMemory::~DeviceMemory() {
  const Device::Scope scope(*device_);
  if (scope.error != kCudaSuccess) return;
  if (registered != Gds::Registered::kNot) gds_->deregisterMemory(address, bytes);
  if (origin_ == Origin::kAllocated && address != 0) (void)device_->cuda.free(address);
  if (origin_ == Origin::kOpened && mapped_ != 0) (void)device_->cuda.closeIpc(mapped_);
}

bool DeviceMemory::exportHandle(CudaIpcHandle& handle, Failure& why) const {
  const Device::Scope scope(*device_);
  CudaResult error = scope.error;
  if (error == kCudaSuccess) error = device_->cuda.getIpc(&handle, address);
  if (error != kCudaSuccess) why = failureOf(*device_, "cuIpcGetMemHandle", error);
  return error == kCudaSuccess;
}

bool DeviceMemory::copyIn(size_t offset, const void* from, size_t length, Failure& why) const {
  const Device::Scope scope(*device_);
  CudaResult error = scope.error;
  if (error == kCudaSuccess) error = device_->cuda.toDevice(address + offset, from, length);
  // Copies from pageable memory may still be under way for the device when the call returns.
  if (error == kCudaSuccess) error = device_->cuda.synchronizeContext();
  if (error != kCudaSuccess) why = failureOf(*device_, "cuMemcpyHtoD", error);
  return error == kCudaSuccess;
}

bool DeviceMemory::copyOut(size_t offset, void* to, size_t length, Failure& why) const {
  const Device::Scope scope(*device_);
  CudaResult error = scope.error;
  if (error == kCudaSuccess) error = device_->cuda.toHost(to, address + offset, length);
  if (error != kCudaSuccess) why = failureOf(*device_, "cuMemcpyDtoH", error);
  return error == kCudaSuccess;
}

}  // namespace kvo
