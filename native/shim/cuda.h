// CUDA's driver, found at run time. The ABI is declared here; NVIDIA's headers are not used.
//
//   std::string why;
//   const std::shared_ptr<const Cuda> cuda = Cuda::load("", why);   // null: no driver, and `why` says so
//   if (cuda->init(0) != kCudaSuccess) …
//
// Functions are called directly; each is non-null but for those marked optional.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace kvo {

using CudaResult = int;
using CudaDeviceHandle = int;
using CudaAddress = uint64_t;
struct CudaContextOpaque;
struct CudaStreamOpaque;
struct CudaEventOpaque;
struct CudaModuleOpaque;
struct CudaFunctionOpaque;
using CudaContext = CudaContextOpaque*;
using CudaStream = CudaStreamOpaque*;
using CudaEvent = CudaEventOpaque*;
using CudaModule = CudaModuleOpaque*;
using CudaFunction = CudaFunctionOpaque*;

inline constexpr CudaResult kCudaSuccess = 0;
inline constexpr CudaResult kCudaOutOfMemory = 2;
inline constexpr CudaResult kCudaNotReady = 600;

inline constexpr unsigned kCudaEventBlockingSync = 1;
inline constexpr unsigned kCudaEventDisableTiming = 2;
inline constexpr unsigned kCudaStreamNonBlocking = 1;
inline constexpr unsigned kCudaHostAllocPortable = 1;
inline constexpr unsigned kCudaHostRegisterPortable = 1;
inline constexpr unsigned kCudaIpcLazyPeerAccess = 1;

inline constexpr int kCudaPointerMemoryType = 2;  // unsigned: 1 host, 2 device
inline constexpr int kCudaPointerDeviceOrdinal = 9;
inline constexpr int kCudaPointerRangeStart = 11;
inline constexpr int kCudaPointerRangeSize = 12;
inline constexpr unsigned kCudaMemoryDevice = 2;

// Of memory, or of an event: CUipcMemHandle and CUipcEventHandle are alike.
struct CudaIpcHandle {
  unsigned char bytes[64];
};
static_assert(sizeof(CudaIpcHandle) == 64);

// What cuMemcpyBatchAsync is told of its copies.
struct CudaCopyAttributes {
  int source_order;  // 1: in the order of the stream
  int source_hint[2];
  int target_hint[2];
  unsigned flags;
};
static_assert(sizeof(CudaCopyAttributes) == 24 && offsetof(CudaCopyAttributes, flags) == 20);
inline constexpr int kCudaSourceOrderStream = 1;

// Made by make_shared alone, which sets all of it to null first.
struct Cuda {  // NOLINT(cppcoreguidelines-pro-type-member-init)
  CudaResult (*init)(unsigned flags);
  CudaResult (*driverVersion)(int* version);
  CudaResult (*deviceCount)(int* count);
  CudaResult (*device)(CudaDeviceHandle* device, int ordinal);
  CudaResult (*deviceName)(char* name, int length, CudaDeviceHandle device);
  CudaResult (*deviceMemory)(size_t* bytes, CudaDeviceHandle device);
  CudaResult (*devicePciBusId)(char* id, int length, CudaDeviceHandle device);
  CudaResult (*retainContext)(CudaContext* context, CudaDeviceHandle device);
  CudaResult (*releaseContext)(CudaDeviceHandle device);
  CudaResult (*setContext)(CudaContext context);
  CudaResult (*pushContext)(CudaContext context);
  CudaResult (*popContext)(CudaContext* context);
  CudaResult (*synchronizeContext)();
  CudaResult (*memoryInfo)(size_t* free, size_t* total);
  CudaResult (*allocate)(CudaAddress* address, size_t bytes);
  CudaResult (*free)(CudaAddress address);
  CudaResult (*allocateHost)(void** address, size_t bytes, unsigned flags);
  CudaResult (*freeHost)(void* address);
  CudaResult (*pointerAttribute)(void* value, int attribute, CudaAddress address);
  CudaResult (*openIpc)(CudaAddress* address, CudaIpcHandle handle, unsigned flags);
  CudaResult (*closeIpc)(CudaAddress address);
  CudaResult (*getIpc)(CudaIpcHandle* handle, CudaAddress address);
  CudaResult (*createStream)(CudaStream* stream, unsigned flags);
  CudaResult (*destroyStream)(CudaStream stream);
  CudaResult (*synchronizeStream)(CudaStream stream);
  CudaResult (*waitEvent)(CudaStream stream, CudaEvent event, unsigned flags);
  CudaResult (*launchHost)(CudaStream stream, void (*function)(void*), void* argument);
  CudaResult (*createEvent)(CudaEvent* event, unsigned flags);
  CudaResult (*destroyEvent)(CudaEvent event);
  CudaResult (*recordEvent)(CudaEvent event, CudaStream stream);
  CudaResult (*queryEvent)(CudaEvent event);
  CudaResult (*synchronizeEvent)(CudaEvent event);
  CudaResult (*openIpcEvent)(CudaEvent* event, CudaIpcHandle handle);
  CudaResult (*toDevice)(CudaAddress to, const void* from, size_t bytes);
  CudaResult (*toHost)(void* to, CudaAddress from, size_t bytes);
  CudaResult (*toDeviceAsync)(CudaAddress to, const void* from, size_t bytes, CudaStream stream);
  CudaResult (*toHostAsync)(void* to, CudaAddress from, size_t bytes, CudaStream stream);
  CudaResult (*loadModule)(CudaModule* module, const void* image);
  CudaResult (*unloadModule)(CudaModule module);
  CudaResult (*findFunction)(CudaFunction* function, CudaModule module, const char* name);
  CudaResult (*launchKernel)(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                             unsigned block_y, unsigned block_z, unsigned shared_bytes, CudaStream stream,
                             void** parameters, void** extra);
  CudaResult (*errorName)(CudaResult error, const char** name);
  CudaResult (*errorText)(CudaResult error, const char** text);
  // Optional: null before CUDA 12.8. The third from last is where it failed; not on the null stream.
  CudaResult (*copyBatch)(CudaAddress* to, CudaAddress* from, size_t* bytes, size_t count,
                          CudaCopyAttributes* attributes, size_t* attribute_at, size_t attributes_count,
                          size_t* failed_at, CudaStream stream);

  std::string path;  // of the library

  // The driver at `path`, or where that is empty the one that the loader finds; one a path and process. Null with
  // `why` where there is none, or one too old: it then names the symbols that are missing.
  static std::shared_ptr<const Cuda> load(const std::string& path, std::string& why);

  // "CUDA_ERROR_OUT_OF_MEMORY (2), out of memory"
  std::string describe(CudaResult error) const;
};

}  // namespace kvo
