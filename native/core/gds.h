// cuFile's driver, opened once a process, with the memory and the files registered at it.
//
//   Failure why;
//   const std::shared_ptr<Gds> gds = Gds::open({.library = "", .log = "/tmp/cufile.log"}, why);
//
// Safe for any thread; a CUDA context must be current in it. The driver is never closed: closing it is only safe when
// nothing in the process uses it. At exit, calls are waited for, and further ones held back: cuFile comes apart then, and
// its own threads crash where it still counts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "../shim/cufile.h"
#include "device.h"

namespace kvo {

struct GdsOptions {
  std::string library;                       // path; empty: the one that the loader finds
  std::string log;                           // where cuFile may write its log, unless the environment says
  std::string configuration;                 // a cufile.json; empty: the one that cuFile finds
  std::chrono::milliseconds timeout{10000};  // for its driver to open: 1.15 was seen to spin for ever in a container
};

// What cuFile has counted on all GPUs of the process: bytes, and calls by the way that they took.
struct GdsCounters {
  uint64_t bytes_read = 0, read = 0, read_direct = 0, read_posix = 0;
  uint64_t bytes_written = 0, written = 0, written_direct = 0, written_posix = 0;
};

class Gds {
 public:
  // Keeps the device from now on: cuFile goes on using its context, to the end of the process.
  static std::shared_ptr<Gds> open(const GdsOptions& options, std::shared_ptr<Device> device, Failure& why);
  Gds(const Gds&) = delete;
  Gds& operator=(const Gds&) = delete;

  // Between these cuFile counts. It does not stop with the last user, since a new one might come at once.
  void beginUse();
  void endUse();
  // Stops the counting of all drivers that nobody uses, for environments that end: what it shares with other processes
  // would outlive the process.
  static void restUnused();

  // What memory was registered as.
  enum class Registered : uint8_t { kWhole, kPieces, kNot };
  // The ladder: whole, then in pieces, then not at all, with `why`. What is registered must be deregistered before it
  // is freed.
  Registered registerMemory(CudaAddress base, size_t bytes, Failure& why);
  void deregisterMemory(CudaAddress base, size_t bytes);

  // Null with cuFile's code where it refuses the file.
  CuFileHandle registerFile(int fd, int& code);
  void deregisterFile(CuFileHandle handle);

  // Moves at most `bytes` between file and device memory, one call: up to where the registration that `address` lies in
  // ends. Bytes, or −errno, or −code from −5001 down.
  ssize_t read(CuFileHandle handle, CudaAddress address, size_t bytes, off_t offset);
  ssize_t write(CuFileHandle handle, CudaAddress address, size_t bytes, off_t offset);

  // False where the library does not count.
  bool counters(GdsCounters& out) const;

  const CuFile& cufile;
  bool allows_compat = false;
  size_t max_pinned_bytes = 0;

 private:
  explicit Gds(std::shared_ptr<const CuFile> library);
  static std::shared_ptr<Gds> openDriver(const GdsOptions& options, Failure& why);
  static std::shared_ptr<Gds> openNow(const GdsOptions& options, std::shared_ptr<Device> device, Failure& why);
  void stopCounting(bool and_unmap);
  void comeToRest();
  void deregisterAll(CudaAddress base, size_t bytes);
  struct Place {
    CudaAddress base;
    size_t offset;
    size_t bytes;
  };
  Place placeOf(CudaAddress address, size_t bytes) const;

  const std::shared_ptr<const CuFile> library_;
  bool counts_ = false;
  std::mutex users_mutex_;
  int users_ = 0;
  bool counting_ = false;
  mutable std::shared_timed_mutex running_;  // shared by each call of cuFile's; held for good once the process exits
  mutable std::shared_mutex mutex_;
  std::map<CudaAddress, size_t> registered_;
  std::map<int, std::shared_ptr<Device>> devices_;
};

}  // namespace kvo
