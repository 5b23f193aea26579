// The fake's device memory, and the host memory it has pinned.
//
// An allocation is a memfd named kvo-fake-device:ORDINAL:ADDRESS:BYTES and a range of addresses that nothing may touch,
// so that code that takes a device address for a pointer crashes, as it would with a GPU; the fake copies by pread and
// pwrite, for which a bad host address is an error and no crash. A test finds the memfds in /proc/PID/fd and may read
// and write them there. IPC opens the same memfd by that path from another process. Freed addresses are not given out
// again for long, so that their use is noticed.
//
// Any thread. The errors are CUDA's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "shim/cuda.h"

namespace kvo::fake {

class DeviceBlock {
 public:
  // Takes the descriptor. Null where there are no addresses left.
  static std::shared_ptr<DeviceBlock> make(int ordinal, size_t bytes, int fd);
  ~DeviceBlock();
  DeviceBlock(const DeviceBlock&) = delete;
  DeviceBlock& operator=(const DeviceBlock&) = delete;

  int ordinal = 0;
  uint64_t start = 0;
  size_t bytes = 0;
  int fd = -1;
  unsigned imports = 0;  // how often opened from another process's handle; 0: it is our own

 private:
  DeviceBlock() = default;
  void* reserved_ = nullptr;
  size_t reserved_bytes_ = 0;
};

// What lies at an address.
struct Located {
  enum class What { kDevice, kPinned, kPageable, kPastEnd, kFreed } what = What::kPageable;
  std::shared_ptr<DeviceBlock> block;  // where kDevice
  uint64_t address = 0;
  bool isGood() const { return what != What::kPastEnd && what != What::kFreed; }
};

class Memory {
 public:
  // `kind` is in the memfd's name.
  CudaResult allocate(int ordinal, size_t bytes, CudaAddress& address, const char* kind = "device");
  CudaResult free(CudaAddress address);
  CudaResult allocateHost(int ordinal, size_t bytes, void*& address);
  CudaResult freeHost(void* address);
  // Bytes in use on a device.
  size_t used(int ordinal);
  // All of a device, when its context goes.
  void freeAll(int ordinal);

  Located locate(CudaAddress address, size_t bytes);

  CudaResult exportBlock(CudaAddress address, CudaIpcHandle& handle);
  CudaResult import(int ordinal, const CudaIpcHandle& handle, CudaAddress& address);
  CudaResult closeImport(CudaAddress address);

  CudaResult attribute(void* value, int attribute, CudaAddress address);

  // Called before a range is no more, device or pinned; `what` names it. Set once.
  void onFree(std::function<void(CudaAddress address, size_t bytes, const char* what)> told) {
    told_ = std::move(told);
  }

 private:
  struct Pinned {
    size_t bytes;
    int ordinal;
  };

  std::shared_ptr<DeviceBlock> blockAt(CudaAddress address);
  CudaResult remove(CudaAddress address);
  void drop(CudaAddress address);

  std::mutex mutex_;
  std::map<CudaAddress, std::shared_ptr<DeviceBlock>> blocks_;
  std::map<CudaAddress, Pinned> pinned_;
  std::deque<std::shared_ptr<DeviceBlock>> freed_;
  std::function<void(CudaAddress, size_t, const char*)> told_;
};

// Of each device, by KVO_FAKE_MEMORY_MIB (default 80 GiB).
size_t deviceBytes();

// Copies between any two places. False where an address was bad after all.
bool copyBytes(const Located& to, const Located& from, size_t bytes);

// Bytes of a device block to or from the host, for both fakes.
bool readBlock(const DeviceBlock& block, CudaAddress from, void* to, size_t bytes);
bool writeBlock(const DeviceBlock& block, CudaAddress to, const void* from, size_t bytes);

}  // namespace kvo::fake
