// One thread's way between files and device memory: a stream, and two pinned buffers (stages), so that a file is read
// or written at one while the device copies from or to the other.
//
// A stage holds slices of any operations, all in one direction. Filled, it is sent on its way with one batch of copies;
// what is in it settles when those are done. Segments of 64 KiB and more are copied to their places directly; smaller
// ones by one contiguous copy and a kernel, since each entry of a batch costs the driver about a microsecond.
//
// Used by one thread. When that was given up on, the watchdog takes what is in flight (abandon).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "batch.h"
#include "device.h"
#include "device_memory.h"
#include "io.h"
#include "stage_memory.h"
#include "status.h"

namespace kvo {

// From this size on a segment is an entry of the batch copy. Measured: 64 KiB 52 GB/s, 16 KiB 14, against the kernel's 49.
inline constexpr size_t kLeastDirectSegment = size_t{64} << 10;

// A slice in a stage, for whom it must be accounted.
struct StagedSlice {
  std::shared_ptr<Batch> batch;
  uint32_t operation = 0;
  uint32_t slice = 0;
  char* at = nullptr;
};

struct Stage {
  enum class State : uint8_t { kEmpty, kFilling, kInFlight };
  struct Job {
    CudaAddress from, to;
    uint64_t bytes;
  };

  State state = State::kEmpty;
  Direction direction = Direction::kRead;
  char* data = nullptr;  // pinned
  size_t used = 0;
  std::vector<StagedSlice> slices;
  CudaEvent done = nullptr;
  Status status;  // of the calls that sent it

  // The copies to come: entries of the batch, and the range that goes through device staging with the kernel's jobs.
  std::vector<CudaAddress> to, from;
  std::vector<size_t> bytes;
  uint64_t region = 0;  // that the last of them lies in
  size_t scattered_from = SIZE_MAX, scattered_to = 0;
  Job* jobs = nullptr;  // pinned
  unsigned job_count = 0;
  CudaAddress staging = 0;                    // device memory, 0 before it is needed
  std::unique_ptr<DeviceMemory> own_staging;  // where the pool's is out, or too small
};

class Lane {
 public:
  // Nothing is allocated before it is needed but a stream; `status` says where that failed.
  Lane(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds, std::shared_ptr<StageMemory> memory);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  Stage& filling() { return stages_[current_]; }
  Stage& other() { return stages_[1 - current_]; }
  void swap() { current_ = 1 - current_; }
  bool idle() const { return stages_[0].state == Stage::State::kEmpty && stages_[1].state == Stage::State::kEmpty; }
  size_t capacity() const { return capacity_; }

  // Makes both stages hold at least `bytes`; both must be empty.
  Status reserve(Io& io, size_t bytes);
  // The next `length` bytes of the stage that is being filled, aligned for direct I/O. There must be room.
  char* take(size_t length);
  bool hasRoom(size_t length, Direction direction) const;
  // Queues the copies between a taken range and a slice's segments, and the slice with them.
  // A failure is the stage's, and so of all its slices.
  void add(Io& io, StagedSlice slice, SpanCursor segments);
  // Sends the stage's copies on their way. A failure is kept in the stage, for all its slices.
  void launch(Io& io, Stage& stage);
  // Waits until they are done.
  Status wait(Io& io, Stage& stage);
  // An emptied stage can be filled again.
  void reset(Stage& stage);

  // One run of bytes between device staging and segments, waited for: what cuFile moves small segments through.
  Status scatter(Io& io, SpanCursor segments, Direction direction);
  // The device staging of the first stage, made when it is missing.
  Status staging(Io& io, size_t bytes, CudaAddress& address);
  // Copies device memory to the first stage, for sums; both must be empty.
  Status bring(Io& io, SpanCursor segments, char*& at);

  // Whether what was sent is done, asked by the watchdog: it waits a moment. Not where the thread hangs in CUDA.
  bool settledSoon(const Stage& stage) const;
  Stage& stage(size_t index) { return stages_[index]; }

  // What start-up failed with.
  const Status& status() const { return status_; }

 private:
  Status start();
  void queueDirect(Stage& stage, uint64_t region, CudaAddress here, CudaAddress there, size_t bytes);
  void queueJobs(Io& io, Stage& stage, CudaAddress staged, CudaAddress segment, size_t bytes);
  void sendKernel(Io& io, Stage& stage);
  void sendCopies(Io& io, Stage& stage);
  void sendJobs(Io& io, Stage& stage);
  Status ensureStaging(Io& io, Stage& stage);
  void freeStages();
  template <typename Call>
  void checked(Io& io, Stage& stage, const char* name, Call&& call);

  const std::shared_ptr<Device> device_;
  const std::shared_ptr<Gds> gds_;
  const Cuda& cuda_;
  const std::shared_ptr<StageMemory> memory_;
  CudaStream stream_ = nullptr;
  Stage stages_[2];
  size_t current_ = 0;
  size_t capacity_ = 0;
  bool pooled_ = false;  // whether the stages' memory is the pool's
  Status status_;
};

}  // namespace kvo
