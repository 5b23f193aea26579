#include "device.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <utility>

#include "../kernels/move_ptx.h"

namespace kvo {
namespace {

Failure failureOf(const Cuda& cuda, const char* call, CudaResult code) { return {call, code, cuda.describe(code)}; }

// "0-15,32-47" as /sys has it.
cpu_set_t processorsOf(const std::string& list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const char* at = list.c_str();
  for (int first = 0, last = 0, read = 0; std::sscanf(at, "%d%n", &first, &read) == 1; at += *at == ',') {
    at += read;
    last = first;
    if (*at == '-' && std::sscanf(at, "-%d%n", &last, &read) == 1) at += read;
    for (int one = first; one <= last && one < CPU_SETSIZE; ++one) CPU_SET(static_cast<size_t>(one), &set);
  }
  return set;
}

}  // namespace

std::shared_ptr<Device> Device::open(const std::string& library, int index, Failure& why) {
  std::string text;
  const std::shared_ptr<const Cuda> cuda = Cuda::load(library, text);
  if (cuda == nullptr) {
    why = {"dlopen", 0, text};
    return nullptr;
  }
  CudaResult error = cuda->init(0);
  if (error != kCudaSuccess) {
    why = failureOf(*cuda, "cuInit", error);
    return nullptr;
  }
  int count = 0;
  error = cuda->deviceCount(&count);
  if (error != kCudaSuccess || index >= count) {
    if (error != kCudaSuccess) why = failureOf(*cuda, "cuDeviceGetCount", error);
    else why = {"cuDeviceGet", 101, "there is no device " + std::to_string(index) + " among " + std::to_string(count)};
    return nullptr;
  }
  CudaDeviceHandle handle = 0;
  CudaContext context = nullptr;
  error = cuda->device(&handle, index);
  if (error == kCudaSuccess) error = cuda->retainContext(&context, handle);
  if (error != kCudaSuccess) {
    why = failureOf(*cuda, "cuDevicePrimaryCtxRetain", error);
    return nullptr;
  }
  return std::shared_ptr<Device>(new Device(cuda, index, handle, context));
}

Device::Device(std::shared_ptr<const Cuda> library, int index, CudaDeviceHandle handle, CudaContext context)
    : cuda(*library), index(index), library_(std::move(library)), handle_(handle), context_(context) {
  char text[128] = "";
  if (cuda.deviceName(text, sizeof text, handle_) == kCudaSuccess) name = text;
  if (cuda.devicePciBusId(text, sizeof text, handle_) == kCudaSuccess) pci_bus_id = text;
  (void)cuda.deviceMemory(&memory, handle_);
  (void)cuda.driverVersion(&driver_version);
  std::transform(pci_bus_id.begin(), pci_bus_id.end(), pci_bus_id.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  findNode();
}

Device::~Device() {
  if (module_ != nullptr) {
    const Scope scope(*this);
    (void)cuda.unloadModule(module_);
  }
  (void)cuda.releaseContext(handle_);
}

void Device::findNode() {
  CPU_ZERO(&near_);
  std::ifstream node("/sys/bus/pci/devices/" + pci_bus_id + "/numa_node");
  std::ifstream second("/sys/devices/system/node/node1/cpulist");
  if (!second || !(node >> numa_node) || numa_node < 0) {
    numa_node = -1;
    return;
  }
  std::ifstream list("/sys/devices/system/node/node" + std::to_string(numa_node) + "/cpulist");
  std::string text;
  if (std::getline(list, text)) near_ = processorsOf(text);
}

void Device::stayNear() const {
  if (CPU_COUNT(&near_) == 0) return;
  // Within what the process may use: a container may have been given other processors on purpose.
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_AND(&allowed, &allowed, &near_);
  if (CPU_COUNT(&allowed) > 0) (void)sched_setaffinity(0, sizeof allowed, &allowed);
}

CudaFunction Device::mover() {
  std::call_once(mover_loaded_, [this] {
    if (cuda.loadModule(&module_, kMovePtx) != kCudaSuccess) module_ = nullptr;
    else if (cuda.findFunction(&mover_, module_, "kvo_move") != kCudaSuccess) mover_ = nullptr;
  });
  return mover_;
}

}  // namespace kvo
