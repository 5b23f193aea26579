// A range of device memory that operations may name, registered with cuFile where that is in use. Deregistered, and
// where it is ours freed, when its owner lets go.
#pragma once

#include <memory>

#include "device.h"
#include "gds.h"

namespace kvo {

class DeviceMemory {
 public:
  // `gds` null: nothing is registered. Null with `why` on failure.
  static std::unique_ptr<DeviceMemory> allocate(const std::shared_ptr<Device>& device, std::shared_ptr<Gds> gds,
                                                size_t bytes, Failure& why);
  // The caller's own: checked against the driver, never freed here.
  static std::unique_ptr<DeviceMemory> borrow(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds,
                                              CudaAddress address, size_t bytes, Failure& why);
  // Another process's, by the handle that it exported: [offset, offset + bytes) of the allocation.
  static std::unique_ptr<DeviceMemory> open(const std::shared_ptr<Device>& device, std::shared_ptr<Gds> gds,
                                            const CudaIpcHandle& handle, size_t offset, size_t bytes, Failure& why);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // To hand it to another process. False with `why` where the driver can't, as for parts of a pool.
  bool exportHandle(CudaIpcHandle& handle, Failure& why) const;
  // Synchronous copies, for who fills or looks at it from the host; both ends lie inside.
  bool copyIn(size_t offset, const void* from, size_t length, Failure& why) const;
  bool copyOut(size_t offset, void* to, size_t length, Failure& why) const;

  CudaAddress address = 0;
  size_t bytes = 0;
  Gds::Registered registered = Gds::Registered::kNot;
  Failure not_registered;  // why not, where cuFile is in use

 private:
  enum class Origin : uint8_t { kAllocated, kBorrowed, kOpened };
  DeviceMemory(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds, Origin origin);
  void registerIt();

  const std::shared_ptr<Device> device_;
  const std::shared_ptr<Gds> gds_;
  const Origin origin_;
  CudaAddress mapped_ = 0;  // what an opened handle gave, the allocation's start
};

}  // namespace kvo
