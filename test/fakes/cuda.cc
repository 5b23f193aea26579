// A libcuda for machines without a GPU, for the functions that native/shim/cuda.h binds: devices, contexts, memory, IPC,
// modules and errors. Streams, events and copies: cuda_streams.cc. Settings: driver.h.
//
// Errors are the real driver's, and a current context is asked for wherever that may ask for one.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>

#include "bridge.h"
#include "counters.h"
#include "driver.h"
#include "exports.h"
#include "report.h"

namespace kvo::fake {
namespace {

// Null where there is no such device.
Context* contextOf(CudaDeviceHandle device) {
  const auto& contexts = driver().contexts;
  const bool is_one = device >= 0 && static_cast<size_t>(device) < contexts.size();
  return is_one ? contexts[static_cast<size_t>(device)].get() : nullptr;
}

// Null where it is none that may be current.
Context* retained(CudaContext context) {
  for (const auto& one : driver().contexts) {
    if (reinterpret_cast<CudaContext>(one.get()) == context && one->retained.load() > 0) return one.get();
  }
  return nullptr;
}

CudaResult giveText(char* to, int length, const std::string& text) {
  if (to == nullptr || length <= 0) return kInvalidValue;
  (void)std::snprintf(to, static_cast<size_t>(length), "%s", text.c_str());
  return kCudaSuccess;
}

struct ErrorText {
  CudaResult error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

CudaResult giveError(CudaResult error, const char** to, const char* ErrorText::*what) {
  const auto* const found =
      std::find_if(std::begin(kErrors), std::end(kErrors), [&](const ErrorText& one) { return one.error == error; });
  *to = found == std::end(kErrors) ? nullptr : found->*what;
  return *to == nullptr ? kInvalidValue : kCudaSuccess;
}

Bridge::Block locateFor(uint64_t address, size_t bytes) {
  const Located at = driver().memory.locate(address, bytes);
  if (at.what == Located::What::kFreed) return {Bridge::Place::kFreed, 0, 0, 0};
  if (!at.block) {
    const bool is_past = at.what == Located::What::kPastEnd;
    return {is_past ? Bridge::Place::kPastEnd : Bridge::Place::kHost, 0, 0, 0};
  }
  const auto place = at.what == Located::What::kDevice ? Bridge::Place::kDevice : Bridge::Place::kPastEnd;
  return {place, at.block->ordinal, at.block->start, at.block->bytes};
}

bool toDeviceFor(uint64_t to, const void* from, size_t bytes) {
  const Located at = driver().memory.locate(to, bytes);
  return at.what == Located::What::kDevice && writeBlock(*at.block, to, from, bytes);
}

bool fromDeviceFor(void* to, uint64_t from, size_t bytes) {
  const Located at = driver().memory.locate(from, bytes);
  return at.what == Located::What::kDevice && readBlock(*at.block, from, to, bytes);
}

int deviceCountFor() { return static_cast<int>(driver().contexts.size()); }

int currentDeviceFor() {
  const Context* const context = currentContext();
  return context == nullptr || context->retained.load() == 0 ? -1 : context->ordinal;
}

void onFreeFor(void (*told)(uint64_t address, size_t bytes)) { driver().on_free.store(told); }

}  // namespace

KVO_FAKE_API const Bridge* kvoFakeBridge() {
  static const Bridge bridge = {locateFor, toDeviceFor, fromDeviceFor, deviceCountFor, currentDeviceFor, onFreeFor};
  return &bridge;
}

KVO_FAKE_API CudaResult cuInit(unsigned flags) {
  return call("init", Needs::kNothing, [&] {
    if (flags != 0) return kInvalidValue;
    if (driver().contexts.empty()) return kNoDevice;
    if (!driver().is_initialized.exchange(true)) driver().lend();
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDriverGetVersion(int* to) {
  return call("driverVersion", Needs::kNothing, [&] {
    *to = driverVersion();
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDeviceGetCount(int* to) {
  return call("deviceCount", Needs::kInit, [&] {
    *to = static_cast<int>(driver().contexts.size());
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDeviceGet(CudaDeviceHandle* device, int ordinal) {
  return call("device", Needs::kInit, [&] {
    if (contextOf(ordinal) == nullptr) return kInvalidDevice;
    *device = ordinal;
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDeviceGetName(char* name, int length, CudaDeviceHandle device) {
  return call("deviceName", Needs::kInit, [&] {
    if (contextOf(device) == nullptr) return kInvalidDevice;
    return giveText(name, length, "Fake GPU " + std::to_string(device));
  });
}

KVO_FAKE_API CudaResult cuDeviceTotalMem_v2(size_t* bytes, CudaDeviceHandle device) {
  return call("deviceMemory", Needs::kInit, [&] {
    if (contextOf(device) == nullptr) return kInvalidDevice;
    *bytes = deviceBytes();
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDeviceGetPCIBusId(char* id, int length, CudaDeviceHandle device) {
  return call("devicePciBusId", Needs::kInit, [&] {
    if (contextOf(device) == nullptr) return kInvalidDevice;
    char text[16];
    // A domain that no machine has, so that nothing real is found by it.
    (void)std::snprintf(text, sizeof text, "FAFE:%02X:00.0", static_cast<unsigned>(device) & 0xFF);
    return giveText(id, length, text);
  });
}

KVO_FAKE_API CudaResult cuDevicePrimaryCtxRetain(CudaContext* context, CudaDeviceHandle device) {
  return call("retainContext", Needs::kInit, [&] {
    Context* const found = contextOf(device);
    if (found == nullptr) return kInvalidDevice;
    if (found->retained.fetch_add(1) == 0) count(Counter::kContexts);
    *context = reinterpret_cast<CudaContext>(found);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuDevicePrimaryCtxRelease_v2(CudaDeviceHandle device) {
  return call("releaseContext", Needs::kInit, [&] {
    Context* const found = contextOf(device);
    if (found == nullptr) return kInvalidDevice;
    unsigned retained = found->retained.load();
    do {
      if (retained == 0) return kInvalidContext;
    } while (!found->retained.compare_exchange_weak(retained, retained - 1));
    if (retained > 1) return kCudaSuccess;
    driver().empty(*found);
    count(Counter::kContexts, -1);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuCtxSetCurrent(CudaContext context) {
  return call("setContext", Needs::kInit, [&] {
    Context* const chosen = retained(context);
    if (context != nullptr && chosen == nullptr) return kInvalidContext;
    ContextStack& stack = contextStack();
    if (stack.depth > 0) --stack.depth;
    if (chosen != nullptr) stack.at[stack.depth++] = chosen;
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuCtxPushCurrent_v2(CudaContext context) {
  return call("pushContext", Needs::kInit, [&] {
    Context* const chosen = retained(context);
    ContextStack& stack = contextStack();
    if (chosen == nullptr) return kInvalidContext;
    if (stack.depth == std::size(stack.at)) misused("contexts are pushed and never popped");
    stack.at[stack.depth++] = chosen;
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuCtxPopCurrent_v2(CudaContext* context) {
  return call("popContext", Needs::kInit, [&] {
    ContextStack& stack = contextStack();
    if (stack.depth == 0) return kInvalidContext;
    --stack.depth;
    if (context != nullptr) *context = reinterpret_cast<CudaContext>(stack.at[stack.depth]);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuMemGetInfo_v2(size_t* free, size_t* total) {
  return call("memoryInfo", Needs::kContext, [&] {
    *total = deviceBytes();
    *free = deviceBytes() - std::min(deviceBytes(), driver().memory.used(currentContext()->ordinal));
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuMemAlloc_v2(CudaAddress* address, size_t bytes) {
  return call("allocate", Needs::kContext, [&](const Fault& fault) {
    if (const int refused = fault.refuses(bytes, kCudaOutOfMemory); refused != 0) return refused;
    return driver().memory.allocate(currentContext()->ordinal, bytes, *address);
  });
}

KVO_FAKE_API CudaResult cuMemFree_v2(CudaAddress address) {
  return call("free", Needs::kContext, [&] { return driver().memory.free(address); });
}

KVO_FAKE_API CudaResult cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
  return call("allocateHost", Needs::kContext, [&](const Fault& fault) {
    if (const int refused = fault.refuses(bytes, kCudaOutOfMemory); refused != 0) return refused;
    if (flags > 7) return kInvalidValue;
    return driver().memory.allocateHost(currentContext()->ordinal, bytes, *address);
  });
}

KVO_FAKE_API CudaResult cuMemFreeHost(void* address) {
  return call("freeHost", Needs::kContext, [&] { return driver().memory.freeHost(address); });
}

KVO_FAKE_API CudaResult cuPointerGetAttribute(void* value, int attribute, CudaAddress address) {
  return call("pointerAttribute", Needs::kContext,
              [&] { return driver().memory.attribute(value, attribute, address); });
}

KVO_FAKE_API CudaResult cuIpcOpenMemHandle_v2(CudaAddress* address, CudaIpcHandle handle, unsigned flags) {
  return call("openIpc", Needs::kContext, [&] {
    if (flags != kCudaIpcLazyPeerAccess) return kInvalidValue;
    return driver().memory.import(currentContext()->ordinal, handle, *address);
  });
}

KVO_FAKE_API CudaResult cuIpcCloseMemHandle(CudaAddress address) {
  return call("closeIpc", Needs::kContext, [&] { return driver().memory.closeImport(address); });
}

KVO_FAKE_API CudaResult cuIpcGetMemHandle(CudaIpcHandle* handle, CudaAddress address) {
  return call("getIpc", Needs::kContext, [&] { return driver().memory.exportBlock(address, *handle); });
}

KVO_FAKE_API CudaResult cuModuleLoadData(CudaModule* module, const void* image) {
  return call("loadModule", Needs::kContext, [&] {
    if (image == nullptr) return kInvalidValue;
    *module = driver().modules.add(std::make_shared<ModuleOf>(ModuleOf{currentContext()}));
    count(Counter::kModules);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuModuleUnload(CudaModule module) {
  return call("unloadModule", Needs::kContext, [&] {
    const auto gone = driver().modules.take(module);
    if (!gone) return kInvalidHandle;
    for (const auto& [handle, one] : driver().functions.all()) {
      if (one == gone) (void)driver().functions.take(handle);
    }
    count(Counter::kModules, -1);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuModuleGetFunction(CudaFunction* function, CudaModule module, const char* name) {
  return call("findFunction", Needs::kContext, [&] {
    const auto found = driver().modules.find(module);
    if (!found) return kInvalidHandle;
    if (name == nullptr || std::strcmp(name, "kvo_move") != 0) return kNotFound;
    *function = driver().functions.add(found);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuGetErrorName(CudaResult error, const char** name) {
  return giveError(error, name, &ErrorText::name);
}

KVO_FAKE_API CudaResult cuGetErrorString(CudaResult error, const char** text) {
  return giveError(error, text, &ErrorText::text);
}

KVO_FAKE_IS(cuInit, Cuda::init);
KVO_FAKE_IS(cuDriverGetVersion, Cuda::driverVersion);
KVO_FAKE_IS(cuDeviceGetCount, Cuda::deviceCount);
KVO_FAKE_IS(cuDeviceGet, Cuda::device);
KVO_FAKE_IS(cuDeviceGetName, Cuda::deviceName);
KVO_FAKE_IS(cuDeviceTotalMem_v2, Cuda::deviceMemory);
KVO_FAKE_IS(cuDeviceGetPCIBusId, Cuda::devicePciBusId);
KVO_FAKE_IS(cuDevicePrimaryCtxRetain, Cuda::retainContext);
KVO_FAKE_IS(cuDevicePrimaryCtxRelease_v2, Cuda::releaseContext);
KVO_FAKE_IS(cuCtxSetCurrent, Cuda::setContext);
KVO_FAKE_IS(cuCtxPushCurrent_v2, Cuda::pushContext);
KVO_FAKE_IS(cuCtxPopCurrent_v2, Cuda::popContext);
KVO_FAKE_IS(cuMemGetInfo_v2, Cuda::memoryInfo);
KVO_FAKE_IS(cuMemAlloc_v2, Cuda::allocate);
KVO_FAKE_IS(cuMemFree_v2, Cuda::free);
KVO_FAKE_IS(cuMemHostAlloc, Cuda::allocateHost);
KVO_FAKE_IS(cuMemFreeHost, Cuda::freeHost);
KVO_FAKE_IS(cuPointerGetAttribute, Cuda::pointerAttribute);
KVO_FAKE_IS(cuIpcOpenMemHandle_v2, Cuda::openIpc);
KVO_FAKE_IS(cuIpcCloseMemHandle, Cuda::closeIpc);
KVO_FAKE_IS(cuIpcGetMemHandle, Cuda::getIpc);
KVO_FAKE_IS(cuModuleLoadData, Cuda::loadModule);
KVO_FAKE_IS(cuModuleUnload, Cuda::unloadModule);
KVO_FAKE_IS(cuModuleGetFunction, Cuda::findFunction);
KVO_FAKE_IS(cuGetErrorName, Cuda::errorName);
KVO_FAKE_IS(cuGetErrorString, Cuda::errorText);
KVO_FAKE_IS(kvoFakeBridge, static_cast<FindBridge*>(nullptr));

}  // namespace kvo::fake
