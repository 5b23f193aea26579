// NVIDIA's cuFile, found at run time. The ABI is declared here (x86-64 and arm64, GDS 1.0 to 1.20); NVIDIA's headers
// are not used. cuFile changes its path without an error: what it did must be read from its counters (readGpuStats).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kvo {

using CuFileHandle = void*;

struct CuFileError {
  int error;  // 0, or 5000 and up
  int cuda;   // where error is 5011: what CUDA said
};
static_assert(sizeof(CuFileError) == 8);

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): of a union one member is
struct CuFileDescription {
  int type = 1;  // a file descriptor
  union {
    int fd = -1;
    void* handle;
  };
  const void* filesystem = nullptr;
};
static_assert(sizeof(CuFileDescription) == 24 && offsetof(CuFileDescription, fd) == 8 &&
              offsetof(CuFileDescription, filesystem) == 16);

struct CuFileProperties {
  struct {
    unsigned major_version;
    unsigned minor_version;
    size_t poll_threshold;
    size_t max_direct_io;
    unsigned status_flags;
    unsigned control_flags;
  } nvfs;
  unsigned feature_flags;
  unsigned max_device_cache;
  unsigned per_buffer_cache;
  unsigned max_pinned_memory;  // KiB
  unsigned max_batch_io;
  unsigned max_batch_timeout;
};
static_assert(sizeof(CuFileProperties) == 56 && offsetof(CuFileProperties, feature_flags) == 32 &&
              offsetof(CuFileProperties, max_pinned_memory) == 44);
inline constexpr unsigned kCuFileAllowsCompat = 1U << 1;  // of control_flags

// Level 3 of the counters. What lies between the fields that are used is named for its place alone.
struct CuFileGpuStats {
  unsigned char head[16];
  uint64_t read_bytes;
  unsigned char read_times[24];
  uint64_t read_total;
  uint64_t read_p2p;
  uint64_t read_nvfs;
  uint64_t read_posix;
  uint64_t read_unaligned;
  unsigned char reads[24];
  uint64_t read_errors;
  uint64_t write_bytes;
  unsigned char write_times[24];
  uint64_t write_total;
  uint64_t write_p2p;
  uint64_t write_nvfs;
  uint64_t write_posix;
  unsigned char writes[16];
  uint64_t write_errors;
  unsigned char tail[40];
};
static_assert(sizeof(CuFileGpuStats) == 248 && offsetof(CuFileGpuStats, read_posix) == 72 &&
              offsetof(CuFileGpuStats, read_errors) == 112 && offsetof(CuFileGpuStats, write_total) == 152 &&
              offsetof(CuFileGpuStats, read_bytes) == 16 && offsetof(CuFileGpuStats, write_bytes) == 120 &&
              offsetof(CuFileGpuStats, write_posix) == 176 && offsetof(CuFileGpuStats, write_errors) == 200);
// What cuFileGetStatsL3 writes: the levels below, which have 1024 bytes in 1.15 to 1.18 and 1136 in 1.19 and 1.20, the
// number of GPUs (4 bytes, and 4 unused), and so many of the above. Measured, library by library.
inline constexpr size_t kCuFileStatsRoom = 16384;
inline constexpr unsigned kCuFileMostGpus = 16;

// Made by make_shared alone, which sets all of it to null first.
struct CuFile {  // NOLINT(cppcoreguidelines-pro-type-member-init)
  CuFileError (*openDriver)();
  CuFileError (*closeDriver)();
  CuFileError (*properties)(CuFileProperties* properties);
  CuFileError (*registerHandle)(CuFileHandle* handle, CuFileDescription* description);
  void (*deregisterHandle)(CuFileHandle handle);
  CuFileError (*registerBuffer)(const void* base, size_t bytes, int flags);
  CuFileError (*deregisterBuffer)(const void* base);
  // Bytes; −1: errno; below: −code.
  ssize_t (*read)(CuFileHandle handle, void* base, size_t bytes, off_t file_offset, off_t base_offset);
  ssize_t (*write)(CuFileHandle handle, const void* base, size_t bytes, off_t file_offset, off_t base_offset);
  // Optional, from 1.15 on.
  CuFileError (*setStatsLevel)(int level);
  CuFileError (*startStats)();
  CuFileError (*stopStats)();
  CuFileError (*stats)(void* stats);  // kCuFileStatsRoom bytes are enough

  int version = 0;  // 1000 × major + 10 × minor; 0 where the library cannot tell
  std::string path;

  // As Cuda::load.
  static std::shared_ptr<const CuFile> load(const std::string& path, std::string& why);

  // The counters of each GPU, by `stats`. False where it fails, or has written something else than is known here.
  bool readGpuStats(std::vector<CuFileGpuStats>& gpus) const;

  // "CU_FILE_…" without the prefix's repetition: "IO_NOT_SUPPORTED" for 5008; "" for a number that is none.
  static const char* nameOf(int code);
};

}  // namespace kvo
