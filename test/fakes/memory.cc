#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "counters.h"
#include "faults.h"
#include "report.h"

namespace kvo::fake {
namespace {

constexpr CudaResult kInvalidValue = 1;
constexpr CudaResult kInvalidContext = 201;
constexpr CudaResult kInvalidHandle = 400;
constexpr size_t kPage = 4096;
constexpr size_t kLarge = 2 << 20;
constexpr size_t kSmallOffset = 512;  // the driver packs small allocations: nothing better may be assumed of them
constexpr size_t kFreedKept = 256;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Pinned memory is plain memory of the host.
char* hostPointer(CudaAddress address) {
  return reinterpret_cast<char*>(address);  // NOLINT(performance-no-int-to-ptr)
}

// What an IPC handle says here.
struct Exported {
  std::array<char, 8> magic;
  int pid;
  int fd;
  uint64_t inode;
  uint64_t bytes;
  int ordinal;
};
static_assert(sizeof(Exported) <= sizeof(CudaIpcHandle));
constexpr std::array<char, 8> kMagic = {'k', 'v', 'o', '-', 'i', 'p', 'c', '1'};

uint64_t inodeOf(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

std::shared_ptr<DeviceBlock> DeviceBlock::make(int ordinal, size_t bytes, int fd) {
  std::shared_ptr<DeviceBlock> block(new DeviceBlock());
  block->fd = fd;
  block->ordinal = ordinal;
  block->bytes = bytes;
  block->reserved_bytes_ = roundUp(bytes, kPage) + 2 * kLarge;
  void* const reserved =
      ::mmap(nullptr, block->reserved_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  block->reserved_ = reserved;
  block->start = roundUp(reinterpret_cast<uintptr_t>(reserved), kLarge);
  if (bytes < kLarge) block->start += kSmallOffset;
  return block;
}

DeviceBlock::~DeviceBlock() {
  if (fd >= 0) ::close(fd);
  if (reserved_ != nullptr) ::munmap(reserved_, reserved_bytes_);
}

size_t deviceBytes() {
  static const auto mib = static_cast<size_t>(setting("KVO_FAKE_MEMORY_MIB", 80 << 10));
  return mib << 20;
}

CudaResult Memory::allocate(int ordinal, size_t bytes, CudaAddress& address, const char* kind) {
  if (bytes == 0) return kInvalidValue;
  const size_t in_use = used(ordinal);
  if (bytes > deviceBytes() || in_use > deviceBytes() - bytes) return kCudaOutOfMemory;
  // Named once its address is known.
  auto block = DeviceBlock::make(ordinal, bytes, -1);
  if (!block) return kCudaOutOfMemory;
  char name[100];
  (void)std::snprintf(name, sizeof name, "kvo-fake-%s:%d:%llu:%zu", kind, ordinal,
                      static_cast<unsigned long long>(block->start), bytes);
  block->fd = ::memfd_create(name, MFD_CLOEXEC);
  if (block->fd < 0 || ::ftruncate(block->fd, static_cast<off_t>(bytes)) != 0) return kCudaOutOfMemory;
  address = block->start;
  const std::lock_guard lock(mutex_);
  blocks_[address] = std::move(block);
  count(Counter::kDeviceBlocks);
  count(Counter::kDeviceBytes, static_cast<long long>(bytes));
  return kCudaSuccess;
}

CudaResult Memory::free(CudaAddress address) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(address);
    if (found == blocks_.end()) {
      for (const auto& block : freed_) {
        if (block->start == address) violation("device memory freed twice: " + rangeText(address, block->bytes));
      }
      return kInvalidValue;
    }
    if (found->second->imports > 0) return kInvalidValue;
  }
  return remove(address);
}

// Asks first, without the lock: whoever is told may look at memory.
CudaResult Memory::remove(CudaAddress address) {
  std::shared_ptr<DeviceBlock> block;
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(address);
    if (found == blocks_.end()) return kInvalidValue;
    block = found->second;
  }
  if (told_) told_(address, block->bytes, "device memory");
  drop(address);
  return kCudaSuccess;
}

void Memory::drop(CudaAddress address) {
  std::shared_ptr<DeviceBlock> oldest;
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(address);
  if (found == blocks_.end()) return;
  const std::shared_ptr<DeviceBlock> block = found->second;
  blocks_.erase(found);
  if (block->imports == 0) {
    count(Counter::kDeviceBlocks, -1);
    count(Counter::kDeviceBytes, -static_cast<long long>(block->bytes));
    // Its pages go back at once; the descriptor is closed when no work holds the block.
    (void)!::ftruncate(block->fd, 0);
  } else {
    count(Counter::kImports, -1);
  }
  freed_.push_back(block);
  if (freed_.size() > kFreedKept) {
    oldest = freed_.front();
    freed_.pop_front();
  }
}

CudaResult Memory::allocateHost(int ordinal, size_t bytes, void*& address) {
  if (bytes == 0) return kInvalidValue;
  address = std::aligned_alloc(kPage, roundUp(bytes, kPage));
  if (address == nullptr) return kCudaOutOfMemory;
  const std::lock_guard lock(mutex_);
  pinned_[reinterpret_cast<CudaAddress>(address)] = {bytes, ordinal};
  count(Counter::kPinnedBlocks);
  count(Counter::kPinnedBytes, static_cast<long long>(bytes));
  return kCudaSuccess;
}

CudaResult Memory::freeHost(void* address) {
  const auto at = reinterpret_cast<CudaAddress>(address);
  size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pinned_.find(at);
    if (found == pinned_.end()) return kInvalidValue;
    bytes = found->second.bytes;
  }
  if (told_) told_(at, bytes, "pinned host memory");
  {
    const std::lock_guard lock(mutex_);
    if (pinned_.erase(at) == 0) return kInvalidValue;
    count(Counter::kPinnedBlocks, -1);
    count(Counter::kPinnedBytes, -static_cast<long long>(bytes));
  }
  std::free(address);
  return kCudaSuccess;
}

size_t Memory::used(int ordinal) {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [start, block] : blocks_) {
    if (block->ordinal == ordinal && block->imports == 0) bytes += block->bytes;
  }
  return bytes;
}

void Memory::freeAll(int ordinal) {
  std::vector<CudaAddress> device;
  std::vector<CudaAddress> host;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [start, block] : blocks_) {
      if (block->ordinal == ordinal) device.push_back(start);
    }
    for (const auto& [start, pinned] : pinned_) {
      if (pinned.ordinal == ordinal) host.push_back(start);
    }
  }
  for (const CudaAddress address : device) (void)remove(address);
  for (const CudaAddress address : host) (void)freeHost(hostPointer(address));
}

std::shared_ptr<DeviceBlock> Memory::blockAt(CudaAddress address) {
  auto after = blocks_.upper_bound(address);
  if (after == blocks_.begin()) return nullptr;
  const std::shared_ptr<DeviceBlock>& block = std::prev(after)->second;
  return address - block->start < block->bytes ? block : nullptr;
}

Located Memory::locate(CudaAddress address, size_t bytes) {
  using What = Located::What;
  const std::lock_guard lock(mutex_);
  Located found;
  found.address = address;
  if (const auto block = blockAt(address)) {
    found.what = block->bytes - (address - block->start) >= bytes ? What::kDevice : What::kPastEnd;
    found.block = block;
    return found;
  }
  for (const auto& block : freed_) {
    if (address - block->start < block->bytes) found.what = What::kFreed;
  }
  if (found.what == What::kFreed) return found;
  if (const auto after = pinned_.upper_bound(address); after != pinned_.begin()) {
    const auto& [start, pinned] = *std::prev(after);
    if (address - start < pinned.bytes) {
      found.what = pinned.bytes - (address - start) >= bytes ? What::kPinned : What::kPastEnd;
    }
  }
  return found;
}

CudaResult Memory::exportBlock(CudaAddress address, CudaIpcHandle& handle) {
  const std::lock_guard lock(mutex_);
  const auto block = blockAt(address);
  if (!block || block->imports > 0) return kInvalidValue;
  const Exported exported = {kMagic, ::getpid(), block->fd, inodeOf(block->fd), block->bytes, block->ordinal};
  handle = {};
  std::memcpy(&handle, &exported, sizeof exported);
  return kCudaSuccess;
}

CudaResult Memory::import(int ordinal, const CudaIpcHandle& handle, CudaAddress& address) {
  Exported exported{};
  std::memcpy(&exported, &handle, sizeof exported);
  if (exported.magic != kMagic || exported.inode == 0 || exported.bytes == 0) return kInvalidHandle;
  if (exported.pid == ::getpid()) return kInvalidContext;  // a process can't open its own
  const std::lock_guard lock(mutex_);
  for (const auto& [start, block] : blocks_) {
    if (block->imports == 0 || block->ordinal != ordinal || inodeOf(block->fd) != exported.inode) continue;
    ++block->imports;
    address = start;
    return kCudaSuccess;
  }
  const std::string path = "/proc/" + std::to_string(exported.pid) + "/fd/" + std::to_string(exported.fd);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return kInvalidHandle;
  struct stat info {};
  // Its owner may have freed it and use the number for another file.
  if (::fstat(fd, &info) != 0 || info.st_ino != exported.inode || info.st_size != static_cast<off_t>(exported.bytes)) {
    ::close(fd);
    return kInvalidHandle;
  }
  auto block = DeviceBlock::make(ordinal, exported.bytes, fd);
  if (!block) return kCudaOutOfMemory;
  block->imports = 1;
  address = block->start;
  blocks_[address] = std::move(block);
  count(Counter::kImports);
  return kCudaSuccess;
}

CudaResult Memory::closeImport(CudaAddress address) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(address);
    if (found == blocks_.end() || found->second->imports == 0) return kInvalidValue;
    if (found->second->imports > 1) {
      --found->second->imports;
      return kCudaSuccess;
    }
  }
  return remove(address);
}

CudaResult Memory::attribute(void* value, int attribute, CudaAddress address) {
  const Located found = locate(address, 1);
  const bool is_device = found.what == Located::What::kDevice;
  if (!is_device && found.what != Located::What::kPinned) return kInvalidValue;
  CudaAddress start = 0;
  size_t bytes = 0;
  int ordinal = 0;
  if (is_device) {
    start = found.block->start;
    bytes = found.block->bytes;
    ordinal = found.block->ordinal;
  } else {
    const std::lock_guard lock(mutex_);
    const auto& [pinned_start, pinned] = *std::prev(pinned_.upper_bound(address));
    start = pinned_start;
    bytes = pinned.bytes;
    ordinal = pinned.ordinal;
  }
  const auto give = [&](const auto& answer) {
    std::memcpy(value, &answer, sizeof answer);
    return kCudaSuccess;
  };
  switch (attribute) {
    case kCudaPointerMemoryType: return give(is_device ? kCudaMemoryDevice : 1U);
    case kCudaPointerDeviceOrdinal: return give(ordinal);
    case kCudaPointerRangeStart: return give(start);
    case kCudaPointerRangeSize: return give(bytes);
    default: return kInvalidValue;
  }
}

bool readBlock(const DeviceBlock& block, CudaAddress from, void* to, size_t bytes) {
  auto at = static_cast<off_t>(from - block.start);
  char* into = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t done = ::pread(block.fd, into, bytes, at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    into += done;
    bytes -= static_cast<size_t>(done);
  }
  return true;
}

bool writeBlock(const DeviceBlock& block, CudaAddress to, const void* from, size_t bytes) {
  auto at = static_cast<off_t>(to - block.start);
  const char* source = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t done = ::pwrite(block.fd, source, bytes, at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    source += done;
    bytes -= static_cast<size_t>(done);
  }
  return true;
}

bool copyBytes(const Located& to, const Located& from, size_t bytes) {
  const bool to_device = to.what == Located::What::kDevice;
  const bool from_device = from.what == Located::What::kDevice;
  if (to_device && !from_device) return writeBlock(*to.block, to.address, hostPointer(from.address), bytes);
  if (!to_device && from_device) return readBlock(*from.block, from.address, hostPointer(to.address), bytes);
  if (!to_device) return false;
  std::vector<char> between(std::min<size_t>(bytes, 1 << 20));
  for (size_t done = 0; done < bytes;) {
    const size_t piece = std::min(bytes - done, between.size());
    if (!readBlock(*from.block, from.address + done, between.data(), piece)) return false;
    if (!writeBlock(*to.block, to.address + done, between.data(), piece)) return false;
    done += piece;
  }
  return true;
}

}  // namespace kvo::fake
