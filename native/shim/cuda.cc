#include "cuda.h"

#include <map>
#include <mutex>

#include "library.h"

namespace kvo {
namespace {

// Which version of cuMemcpyBatchAsync: 12.8's, whose parameters the declaration has (13.0's lacks failed_at).
constexpr int kBatchVersion = 12080;

std::string bindAll(const Library& library, Cuda& cuda) {
  std::string missing;
  const auto bind = [&](const char* symbol, auto& function) {
    if (!library.bind(symbol, function)) missing += missing.empty() ? symbol : std::string(", ") + symbol;
  };
  bind("cuInit", cuda.init);
  bind("cuDriverGetVersion", cuda.driverVersion);
  bind("cuDeviceGetCount", cuda.deviceCount);
  bind("cuDeviceGet", cuda.device);
  bind("cuDeviceGetName", cuda.deviceName);
  bind("cuDeviceTotalMem_v2", cuda.deviceMemory);
  bind("cuDeviceGetPCIBusId", cuda.devicePciBusId);
  bind("cuDevicePrimaryCtxRetain", cuda.retainContext);
  bind("cuDevicePrimaryCtxRelease_v2", cuda.releaseContext);
  bind("cuCtxSetCurrent", cuda.setContext);
  bind("cuCtxPushCurrent_v2", cuda.pushContext);
  bind("cuCtxPopCurrent_v2", cuda.popContext);
  bind("cuCtxSynchronize", cuda.synchronizeContext);
  bind("cuMemGetInfo_v2", cuda.memoryInfo);
  bind("cuMemAlloc_v2", cuda.allocate);
  bind("cuMemFree_v2", cuda.free);
  bind("cuMemHostAlloc", cuda.allocateHost);
  bind("cuMemFreeHost", cuda.freeHost);
  bind("cuPointerGetAttribute", cuda.pointerAttribute);
  bind("cuIpcOpenMemHandle_v2", cuda.openIpc);
  bind("cuIpcCloseMemHandle", cuda.closeIpc);
  bind("cuIpcGetMemHandle", cuda.getIpc);
  bind("cuStreamCreate", cuda.createStream);
  bind("cuStreamDestroy_v2", cuda.destroyStream);
  bind("cuStreamSynchronize", cuda.synchronizeStream);
  bind("cuStreamWaitEvent", cuda.waitEvent);
  bind("cuLaunchHostFunc", cuda.launchHost);
  bind("cuEventCreate", cuda.createEvent);
  bind("cuEventDestroy_v2", cuda.destroyEvent);
  bind("cuEventRecord", cuda.recordEvent);
  bind("cuEventQuery", cuda.queryEvent);
  bind("cuEventSynchronize", cuda.synchronizeEvent);
  bind("cuIpcOpenEventHandle", cuda.openIpcEvent);
  bind("cuMemcpyHtoD_v2", cuda.toDevice);
  bind("cuMemcpyDtoH_v2", cuda.toHost);
  bind("cuMemcpyHtoDAsync_v2", cuda.toDeviceAsync);
  bind("cuMemcpyDtoHAsync_v2", cuda.toHostAsync);
  bind("cuModuleLoadData", cuda.loadModule);
  bind("cuModuleUnload", cuda.unloadModule);
  bind("cuModuleGetFunction", cuda.findFunction);
  bind("cuLaunchKernel", cuda.launchKernel);
  bind("cuGetErrorName", cuda.errorName);
  bind("cuGetErrorString", cuda.errorText);
  return missing;
}

// By number, since the symbol's own version may be of another signature.
void bindBatch(const Library& library, Cuda& cuda) {
  CudaResult (*find)(const char* symbol, void** function, int version, uint64_t flags, int* status) = nullptr;
  void* function = nullptr;
  if (library.bind("cuGetProcAddress_v2", find) &&
      find("cuMemcpyBatchAsync", &function, kBatchVersion, 0, nullptr) == kCudaSuccess) {
    cuda.copyBatch = reinterpret_cast<decltype(cuda.copyBatch)>(function);
  }
}

}  // namespace

std::shared_ptr<const Cuda> Cuda::load(const std::string& path, std::string& why) {
  static std::mutex mutex;
  // Never emptied: a loaded library stays.
  static std::map<std::string, std::shared_ptr<const Cuda>>& loaded =
      *new std::map<std::string, std::shared_ptr<const Cuda>>();
  const std::lock_guard lock(mutex);
  if (const auto found = loaded.find(path); found != loaded.end()) return found->second;
  Library library;
  why = library.open(path, {"libcuda.so.1", "libcuda.so"});
  if (!why.empty()) return nullptr;
  auto cuda = std::make_shared<Cuda>();
  const std::string missing = bindAll(library, *cuda);
  if (!missing.empty()) {
    why = library.path() + " lacks " + missing;
    return nullptr;
  }
  bindBatch(library, *cuda);
  cuda->path = library.path();
  loaded.emplace(path, cuda);
  return cuda;
}

std::string Cuda::describe(CudaResult error) const {
  const char* name = nullptr;
  const char* text = nullptr;
  (void)errorName(error, &name);
  (void)errorText(error, &text);
  return std::string(name == nullptr ? "CUDA error" : name) + " (" + std::to_string(error) + ")" +
         (text == nullptr ? "" : std::string(", ") + text);
}

}  // namespace kvo
