// One thread's part of a run: its slices of pinned memory, and the copies between them and the device.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "machine.h"
#include "options.h"
#include "pattern.h"

namespace plain {

// A piece of a file, and where it stands in its slice.
struct Part {
  size_t file;
  size_t offset;
  size_t length;
  size_t at;
};

struct Slice {
  char* memory = nullptr;
  kvo::CudaAddress staging = 0;
  Job* jobs = nullptr;
  kvo::CudaStream stream = nullptr;
  kvo::CudaEvent event = nullptr;
  bool busy = false;
  std::vector<Part> parts;
};

// What all threads of a run share.
struct Run {
  const Options& options;
  Machine& machine;
  const Places& places;
  kvo::CudaAddress target;
  std::atomic<size_t> next{0};  // file
  size_t end = 0;               // of this call's files
};

class Lane {
 public:
  Lane(Run& run, size_t index);
  ~Lane();

  // Fills `slice.parts` with what comes next: a piece of a large file, or several small files. False: no more.
  bool take(Slice& slice);
  // The slice's bytes to the device, or from it. Asynchronous.
  void send(Slice& slice) { move(slice, true); }
  void fetch(Slice& slice) { move(slice, false); }
  // Until the slice's copies are done.
  void wait(Slice& slice);

  std::vector<Slice> slices;

 private:
  void move(Slice& slice, bool to_device);
  // The copies between a slice and the target, as the batch copy and the kernel want them.
  void list(const Slice& slice);
  void copyEach(Slice& slice, bool to_device);
  void copyBatch(Slice& slice, bool to_device);
  void copyWithKernel(Slice& slice, bool to_device);
  static size_t used(const Slice& slice) { return slice.parts.back().at + slice.parts.back().length; }

  Run& run_;
  std::vector<kvo::CudaStream> streams_;
  size_t file_ = 0;
  size_t offset_ = 0;  // of file_; 0: none is open
  std::vector<kvo::CudaAddress> device_, host_;
  std::vector<size_t> bytes_;
};

}  // namespace plain
