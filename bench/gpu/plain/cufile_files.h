// cuFile by itself: files straight from and into device memory that is registered with it, as far as it lets them.
#pragma once

#include <memory>
#include <string>

#include "lane.h"
#include "shim/cufile.h"

namespace plain {

// Each call ends the process on any failure, with cuFile's words for it. Safe for any thread.
class CuFiles {
 public:
  // Opens cuFile's driver. `library` is its path, or empty for the loader's.
  explicit CuFiles(const std::string& library);

  // Registers a run's device memory, all of it or not at all: whoever refuses still moves bytes. Once a process.
  void use(const Run& run);

  // Open, fstat, the header by pread, the payload by cuFileRead, slice after slice; close.
  void load(const Run& run, size_t file) const;
  // A new temporary file: the payload by cuFileWrite, the header by pwrite; the sidecar as a hard link, both renamed.
  void store(const Run& run, size_t file) const;

 private:
  kvo::CuFileHandle handleOf(int fd) const;

  std::shared_ptr<const kvo::CuFile> cufile_;
  kvo::CudaAddress registered_ = 0;
};

}  // namespace plain
