// Fake CUDA and fake cuFile for a test: loaded once, told by a control file, and a set of things to work with.
//
//   const Rig rig;                                       // the context of device 0 is current in this thread
//   const CudaAddress device = rig.allocate(4096, 'd');  // filled; freed with the rig
//   control("streamCopy:hang");                          // until control("")
//   CHECK_EQ(reported(), "");                            // violations since the last look
//
// Paths come from CMake: KVO_FAKE_CUDA, KVO_FAKE_CUFILE, KVO_FAKE_PEER.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "shim/cuda.h"
#include "shim/cufile.h"

namespace fakes {

inline constexpr size_t kMemory = 64 << 20;

// Of this process, gone with it. Made before the fakes are loaded, since they read their environment then.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/kvo-fakes-XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    path = name;
    ::setenv("KVO_FAKE_REPORT", (path + "/report").c_str(), 1);
    ::setenv("KVO_FAKE_CONTROL", (path + "/control").c_str(), 1);
    ::setenv("KVO_FAKE_DEVICES", "2", 1);
    ::setenv("KVO_FAKE_MEMORY_MIB", std::to_string(kMemory >> 20).c_str(), 1);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline Folder& folder() {
  static Folder one;
  return one;
}

inline std::string contentOf(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Faults from now on; none where empty.
inline void control(const std::string& faults) {
  const std::string path = folder().path + "/control";
  if (faults.empty()) {
    ::unlink(path.c_str());
    return;
  }
  std::ofstream(path + ".new") << faults;
  std::filesystem::rename(path + ".new", path);
}

// The violations since the last look.
inline std::string reported() {
  const std::string path = folder().path + "/report";
  std::string text = contentOf(path);
  ::unlink(path.c_str());
  return text;
}

// The file behind the process's descriptor whose memfd's name starts so; empty where there is none.
inline std::string memfd(const std::string& process, const std::string& name) {
  const std::string below = "/proc/" + process + "/fd/";
  for (const auto& entry : std::filesystem::directory_iterator(below)) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.rfind("/memfd:" + name, 0) == 0) return entry.path().string();
  }
  return "";
}

inline long long counter(const std::string& library, const std::string& name) {
  std::istringstream lines(contentOf(memfd("self", "kvo-fake-counters:" + library + " ")));
  std::string word;
  long long value = 0;
  while (lines >> word >> value) {
    if (word == name) return value;
  }
  check::fail(__FILE__, __LINE__, "no counter " + name);
}

// The signal that a child ends by in which `body` runs; 0 where it returns.
inline int died(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int quiet = ::open("/dev/null", O_WRONLY);
    ::dup2(quiet, STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

class Pinned;

class Rig {
 public:
  Rig() {
    (void)folder();
    control("");
    (void)reported();
    std::string why;
    cuda = kvo::Cuda::load(KVO_FAKE_CUDA, why);
    if (!cuda) check::fail(__FILE__, __LINE__, why);
    CHECK_EQ(cuda->init(0), 0);
    for (int ordinal : {1, 0}) {
      CHECK_EQ(cuda->retainContext(&contexts[static_cast<size_t>(ordinal)], ordinal), 0);
      makeCurrent(ordinal);
    }
    CHECK_EQ(cuda->createStream(&stream, kvo::kCudaStreamNonBlocking), 0);
    CHECK_EQ(cuda->createEvent(&event, kvo::kCudaEventDisableTiming), 0);
  }
  // Its contexts go, and with them all that is in them. Violations that no test asked about fail it.
  ~Rig() {
    control("");
    for (int ordinal : {0, 1}) (void)cuda->releaseContext(ordinal);
    const std::string left = reported();
    if (left.empty() || std::uncaught_exceptions() > 0) return;
    std::fprintf(stderr, "not expected: %s", left.c_str());
    std::abort();
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void makeCurrent(int ordinal) const { CHECK_EQ(cuda->setContext(contexts[static_cast<size_t>(ordinal)]), 0); }

  kvo::CudaAddress allocate(size_t bytes, char fill, int ordinal = 0) const {
    makeCurrent(ordinal);
    kvo::CudaAddress address = 0;
    CHECK_EQ(cuda->allocate(&address, bytes), 0);
    const std::string text(bytes, fill);
    CHECK_EQ(cuda->toDevice(address, text.data(), bytes), 0);
    makeCurrent(0);
    return address;
  }

  std::string bytes(kvo::CudaAddress address, size_t count) const {
    std::string text(count, 0);
    CHECK_EQ(cuda->toHost(text.data(), address, count), 0);
    return text;
  }

  kvo::CudaFunction kernel() const {
    kvo::CudaModule module = nullptr;
    kvo::CudaFunction function = nullptr;
    CHECK_EQ(cuda->loadModule(&module, "an image"), 0);
    CHECK_EQ(cuda->findFunction(&function, module, "kvo_move"), 0);
    return function;
  }

  kvo::CudaResult launch(kvo::CudaFunction function, Pinned& list, unsigned jobs) const;

  std::shared_ptr<const kvo::Cuda> cuda;
  std::array<kvo::CudaContext, 2> contexts{};
  kvo::CudaStream stream = nullptr;  // non-blocking
  kvo::CudaEvent event = nullptr;
};

class Pinned {
 public:
  Pinned(const Rig& rig, size_t bytes, char fill) : rig_(rig), bytes_(bytes) {
    CHECK_EQ(rig.cuda->allocateHost(&data_, bytes, kvo::kCudaHostAllocPortable), 0);
    std::memset(data_, fill, bytes);
  }
  // Whatever a failed test left on the streams comes first.
  ~Pinned() {
    control("");
    (void)rig_.cuda->synchronizeContext();
    (void)rig_.cuda->freeHost(data_);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  char* data() { return static_cast<char*>(data_); }
  kvo::CudaAddress address() const { return reinterpret_cast<kvo::CudaAddress>(data_); }
  std::string text() const { return {static_cast<const char*>(data_), bytes_}; }

 private:
  const Rig& rig_;
  void* data_ = nullptr;
  size_t bytes_;
};

inline kvo::CudaResult Rig::launch(kvo::CudaFunction function, Pinned& list, unsigned jobs) const {
  kvo::CudaAddress address = list.address();
  void* parameters[] = {&address, &jobs};
  return cuda->launchKernel(function, 32, 1, 1, 512, 1, 1, 0, stream, parameters, nullptr);
}

// Another process with device memory (test/fakes/peer.cc).
class Peer {
 public:
  struct Block {
    kvo::CudaAddress address = 0;
    size_t bytes = 0;
    kvo::CudaIpcHandle handle{};
  };

  Peer() {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) std::abort();
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::execl(KVO_FAKE_PEER, KVO_FAKE_PEER, KVO_FAKE_CUDA, nullptr);
      ::_exit(1);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = ::fdopen(in[1], "w");
    from_ = ::fdopen(out[0], "r");
  }
  ~Peer() {
    std::fclose(to_);
    std::fclose(from_);
    ::waitpid(process_, nullptr, 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  Block allocate(size_t bytes) {
    std::istringstream answer(ask("allocate " + std::to_string(bytes)));
    Block block;
    std::string digits;
    answer >> block.address >> digits;
    block.bytes = bytes;
    CHECK_EQ(digits.size(), 2 * sizeof block.handle);
    for (size_t index = 0; index < sizeof block.handle; ++index)
      block.handle.bytes[index] = static_cast<unsigned char>(std::stoi(digits.substr(2 * index, 2), nullptr, 16));
    return block;
  }

  void free(const Block& block) { CHECK_EQ(ask("free " + std::to_string(block.address)), "ok\n"); }

  std::string read(const Block& block) const {
    return contentOf(memfd(std::to_string(process_), "kvo-fake-device:0:" + std::to_string(block.address)));
  }

 private:
  std::string ask(const std::string& line) {
    std::fprintf(to_, "%s\n", line.c_str());
    std::fflush(to_);
    char answer[512] = "";
    CHECK(std::fgets(answer, sizeof answer, from_) != nullptr);
    return answer;
  }

  pid_t process_ = -1;
  FILE* to_ = nullptr;
  FILE* from_ = nullptr;
};

}  // namespace fakes
