// Another process with device memory of its own, for tests of IPC. Reads lines, answers each with one:
//   allocate BYTES    ADDRESS HANDLE, the latter as hexadecimal digits; its memory is the memfd that memory.h tells of
//   free ADDRESS      ok
//   later ADDRESS     HANDLE of an event, recorded behind a copy of bytes 7 into all of it; KVO_FAKE_LAG_US says how much later
// A call that fails answers `error N`. Ends with its input.
//
//   fake_gpu_peer PATH-OF-THE-FAKE-CUDA
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <string>

#include "shared_event.h"
#include "shim/cuda.h"

namespace {

std::string hex(const kvo::CudaIpcHandle& handle) {
  std::string text;
  for (const unsigned char byte : handle.bytes) {
    char digits[3];
    (void)std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text;
}

std::map<kvo::CudaAddress, size_t> allocated;
kvo::fake::GetEventHandle* event_handle_of = nullptr;

int allocate(const kvo::Cuda& cuda, size_t bytes) {
  kvo::CudaAddress address = 0;
  kvo::CudaIpcHandle handle{};
  if (const int error = cuda.allocate(&address, bytes); error != 0) return error;
  if (const int error = cuda.getIpc(&handle, address); error != 0) return error;
  allocated[address] = bytes;
  std::cout << address << ' ' << hex(handle) << std::endl;
  return 0;
}

// Everything it needs stays, as a process's own would.
int later(const kvo::Cuda& cuda, kvo::CudaAddress address) {
  const size_t bytes = allocated[address];
  void* source = nullptr;
  kvo::CudaStream stream = nullptr;
  kvo::CudaEvent event = nullptr;
  kvo::CudaIpcHandle handle{};
  const unsigned flags = kvo::kCudaEventDisableTiming | kvo::fake::kEventInterprocess;
  int error = cuda.allocateHost(&source, bytes, 0);
  if (error == 0) std::memset(source, 7, bytes);
  if (error == 0) error = cuda.createStream(&stream, kvo::kCudaStreamNonBlocking);
  if (error == 0) error = cuda.createEvent(&event, flags);
  if (error == 0) error = event_handle_of(&handle, event);
  if (error == 0) error = cuda.toDeviceAsync(address, source, bytes, stream);
  if (error == 0) error = cuda.recordEvent(event, stream);
  if (error == 0) std::cout << hex(handle) << std::endl;
  return error;
}

int answer(const kvo::Cuda& cuda, const std::string& command, uint64_t number) {
  if (command == "allocate") return allocate(cuda, number);
  if (command == "later") return later(cuda, number);
  if (const int error = cuda.free(number); error != 0) return error;
  std::cout << "ok" << std::endl;
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::string why;
  const auto cuda = kvo::Cuda::load(count > 1 ? arguments[1] : "", why);
  kvo::CudaContext context = nullptr;
  if (!cuda || cuda->init(0) != 0 || cuda->retainContext(&context, 0) != 0 || cuda->setContext(context) != 0) {
    std::cerr << "fake_gpu_peer: no CUDA: " << why << '\n';
    return 1;
  }
  void* const library = ::dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD);
  event_handle_of = reinterpret_cast<kvo::fake::GetEventHandle*>(::dlsym(library, "cuIpcGetEventHandle"));
  std::string command;
  uint64_t number = 0;
  while (std::cin >> command >> number) {
    if (const int error = answer(*cuda, command, number); error != 0) std::cout << "error " << error << std::endl;
  }
  return 0;
}
