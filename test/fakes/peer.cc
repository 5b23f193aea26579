// Another process with device memory of its own, for tests of IPC. Reads lines, answers each with one:
//   allocate BYTES    ADDRESS HANDLE, the latter as hexadecimal digits; its memory is the memfd that memory.h tells of
//   free ADDRESS      ok
// A call that fails answers `error N`. Ends with its input.
//
//   fake_gpu_peer PATH-OF-THE-FAKE-CUDA
#include <cstdio>
#include <iostream>
#include <string>

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

int allocate(const kvo::Cuda& cuda, size_t bytes) {
  kvo::CudaAddress address = 0;
  kvo::CudaIpcHandle handle{};
  if (const int error = cuda.allocate(&address, bytes); error != 0) return error;
  if (const int error = cuda.getIpc(&handle, address); error != 0) return error;
  std::cout << address << ' ' << hex(handle) << std::endl;
  return 0;
}

int answer(const kvo::Cuda& cuda, const std::string& command, uint64_t number) {
  if (command == "allocate") return allocate(cuda, number);
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
  std::string command;
  uint64_t number = 0;
  while (std::cin >> command >> number) {
    if (const int error = answer(*cuda, command, number); error != 0) std::cout << "error " << error << std::endl;
  }
  return 0;
}
