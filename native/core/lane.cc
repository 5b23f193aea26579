#include "lane.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace kvo {
namespace {

// The kernel's jobs are cut to this, so that its warps have equal shares.
constexpr size_t kMostJobBytes = 8192;
// Jobs a stage can hold: 4 MiB in segments of 512 bytes. More are done in rounds.
constexpr unsigned kMostJobs = 8192;
constexpr unsigned kBlocks = 32;
constexpr unsigned kThreads = 512;
constexpr std::chrono::milliseconds kMoment{250};

CudaAddress addressOf(const char* data) { return reinterpret_cast<CudaAddress>(data); }

// Asking for it, between naps, is as fast as spinning for half of its processor time; the driver's own blocking wait is
// slower. Measured: 16 threads, 32 MiB chunks: 52.7 GB/s at 0.19 CPU s/GiB, spinning 52.2 at 0.30, blocking 51.4 at 0.19.
CudaResult napUntil(const Cuda& cuda, CudaEvent event) {
  constexpr timespec kNap = {0, 30000};
  constexpr timespec kLongNap = {0, 1000000};
  constexpr int kNaps = 1000;
  for (int nap = 0;; nap = std::min(nap + 1, kNaps)) {
    const CudaResult state = cuda.queryEvent(event);
    if (state != kCudaNotReady) return state;
    (void)nanosleep(nap < kNaps ? &kNap : &kLongNap, nullptr);
  }
}

}  // namespace

Lane::Lane(std::shared_ptr<Device> device, std::shared_ptr<Gds> gds, std::shared_ptr<StageMemory> memory)
    : device_(std::move(device)),
      gds_(std::move(gds)),
      cuda_(device_->cuda),
      memory_(std::move(memory)),
      status_(start()) {}

Status Lane::start() {
  // A nap's own length counts, and by default the kernel may add 50 microseconds.
  (void)prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
  CudaResult error = device_->enter();
  if (error == kCudaSuccess) error = cuda_.createStream(&stream_, kCudaStreamNonBlocking);
  for (Stage& stage : stages_) {
    // Not for blocking waits: each such event is an interrupt, and one processor takes them all (docs/benchmarks.md).
    if (error == kCudaSuccess) error = cuda_.createEvent(&stage.done, kCudaEventDisableTiming);
    // Enough for small chunks packed to the most; more would be allocated once.
    stage.slices.reserve(64);
    for (auto* list : {&stage.to, &stage.from}) list->reserve(256);
    stage.bytes.reserve(256);
  }
  return error == kCudaSuccess ? Status{} : Status::fail(Step::kDevice, error);
}

Lane::~Lane() {
  const Device::Scope scope(*device_);
  if (scope.error != kCudaSuccess) return;
  if (stream_ != nullptr) (void)cuda_.synchronizeStream(stream_);
  for (const Stage& stage : stages_) {
    if (stage.done != nullptr) (void)cuda_.destroyEvent(stage.done);
    if (stage.jobs != nullptr) (void)cuda_.freeHost(stage.jobs);
  }
  freeStages();
  if (stream_ != nullptr) (void)cuda_.destroyStream(stream_);
}

void Lane::freeStages() {
  for (Stage& stage : stages_) {
    if (stage.data != nullptr && pooled_) memory_->giveBack(stage.data);
    else if (stage.data != nullptr) (void)cuda_.freeHost(stage.data);
    stage.data = nullptr;
    if (stage.own_staging == nullptr && stage.staging != 0) memory_->giveBackDevice(stage.staging);
    stage.own_staging.reset();
    stage.staging = 0;
  }
  capacity_ = 0;
}

Status Lane::reserve(Io& io, size_t bytes) {
  if (bytes <= capacity_) return {};
  CudaResult error = kCudaSuccess;
  return io.device("cuMemHostAlloc", [&]() -> Status {
    freeStages();
    pooled_ = bytes <= memory_->pieceBytes();
    const size_t capacity = std::max(bytes, memory_->pieceBytes());
    for (Stage& stage : stages_) {
      if (pooled_) stage.data = memory_->take(error);
      if (error != kCudaSuccess) return Status::fail(Step::kPinned, error);
    }
    // All of the pool is out where threads that were given up on still hold theirs.
    if (stages_[1].data == nullptr) {
      freeStages();
      pooled_ = false;
      for (Stage& stage : stages_) {
        void* data = nullptr;
        error = cuda_.allocateHost(&data, capacity, kCudaHostAllocPortable);
        if (error != kCudaSuccess) return Status::fail(Step::kPinned, error);
        stage.data = static_cast<char*>(data);
      }
    }
    capacity_ = capacity;
    return {};
  });
}

bool Lane::hasRoom(size_t length, Direction direction) const {
  const Stage& stage = stages_[current_];
  if (stage.state == Stage::State::kEmpty) return length <= capacity_;
  return stage.state == Stage::State::kFilling && stage.direction == direction && length <= capacity_ - stage.used &&
         stage.job_count < kMostJobs / 2;
}

char* Lane::take(size_t length) {
  Stage& stage = filling();
  stage.state = Stage::State::kFilling;
  char* const at = stage.data + stage.used;
  stage.used += (length + kDirectUnit - 1) / kDirectUnit * kDirectUnit;
  stage.used = std::min(stage.used, capacity_);
  return at;
}

void Lane::add(Io& io, StagedSlice slice, SpanCursor segments) {
  Stage& stage = filling();
  char* at = slice.at;
  const Operation& op = slice.batch->operations[slice.operation];
  stage.slices.push_back(std::move(slice));
  const bool small = op.small && device_->mover() != nullptr;
  if (small && stage.status.ok()) stage.status = ensureStaging(io, stage);
  while (segments.left() > 0 && stage.status.ok()) {
    const Span segment = segments.piece(SIZE_MAX);
    if (small) {
      const size_t offset = static_cast<size_t>(at - stage.data);
      stage.scattered_from = std::min(stage.scattered_from, offset);
      stage.scattered_to = std::max(stage.scattered_to, offset + segment.bytes);
      queueJobs(io, stage, stage.staging + offset, addressOf(segment.data), segment.bytes);
    } else {
      queueDirect(stage, op.region, addressOf(at), addressOf(segment.data), segment.bytes);
    }
    at += segment.bytes;
    segments.advance(segment.bytes);
  }
}

void Lane::queueDirect(Stage& stage, uint64_t region, CudaAddress here, CudaAddress there, size_t bytes) {
  const bool load = stage.direction == Direction::kRead;
  const CudaAddress to = load ? there : here;
  const CudaAddress from = load ? here : there;
  // Neighbours on both sides are one copy: small chunks in slots side by side. Not across regions, which may be two
  // allocations.
  const bool same = region != 0 && region == stage.region && !stage.to.empty();
  stage.region = region;
  if (same && stage.to.back() + stage.bytes.back() == to && stage.from.back() + stage.bytes.back() == from) {
    stage.bytes.back() += bytes;
    return;
  }
  stage.to.push_back(to);
  stage.from.push_back(from);
  stage.bytes.push_back(bytes);
}

void Lane::queueJobs(Io& io, Stage& stage, CudaAddress staged, CudaAddress segment, size_t bytes) {
  const bool load = stage.direction == Direction::kRead;
  for (size_t at = 0; at < bytes && stage.status.ok(); at += kMostJobBytes) {
    if (stage.job_count == kMostJobs) {
      // A list that is full is carried out, and waited for, since the kernel reads it meanwhile.
      sendCopies(io, stage);
      checked(io, stage, "cuStreamSynchronize", [&] { return cuda_.synchronizeStream(stream_); });
      stage.job_count = 0;
      stage.scattered_from = staged - stage.staging + at;
      stage.scattered_to = staged - stage.staging + bytes;
    }
    const CudaAddress from = load ? staged : segment;
    const CudaAddress to = load ? segment : staged;
    stage.jobs[stage.job_count++] = {from + at, to + at, std::min(kMostJobBytes, bytes - at)};
  }
}

Status Lane::ensureStaging(Io& io, Stage& stage) {
  if (stage.jobs == nullptr) {
    void* jobs = nullptr;
    const CudaResult error = io.device("cuMemHostAlloc", [&] {
      return cuda_.allocateHost(&jobs, kMostJobs * sizeof(Stage::Job), kCudaHostAllocPortable);
    });
    if (error != kCudaSuccess) return Status::fail(Step::kPinned, error);
    stage.jobs = static_cast<Stage::Job*>(jobs);
  }
  if (stage.staging != 0) return {};
  CudaResult error = kCudaSuccess;
  io.device("cuMemAlloc", [&] {
    if (pooled_) stage.staging = memory_->takeDevice(error);
    if (stage.staging != 0 || error != kCudaSuccess) return 0;
    Failure why;
    stage.own_staging = DeviceMemory::allocate(device_, gds_, capacity_, why);
    error = why.code;
    if (stage.own_staging != nullptr) stage.staging = stage.own_staging->address;
    return 0;
  });
  if (error != kCudaSuccess) return Status::fail(Step::kDeviceMemory, error);
  return {};
}

template <typename Call>
void Lane::checked(Io& io, Stage& stage, const char* name, Call&& call) {
  if (!stage.status.ok()) return;
  const CudaResult error = io.device(name, std::forward<Call>(call));
  if (error != kCudaSuccess) stage.status = Status::fail(Step::kCopy, error);
}

void Lane::sendKernel(Io& io, Stage& stage) {
  void* parameters[] = {&stage.jobs, &stage.job_count};
  checked(io, stage, "cuLaunchKernel", [&] {
    return cuda_.launchKernel(device_->mover(), kBlocks, 1, 1, kThreads, 1, 1, 0, stream_, parameters, nullptr);
  });
}

void Lane::sendCopies(Io& io, Stage& stage) {
  if (stage.job_count > 0) {
    const size_t length = stage.scattered_to - stage.scattered_from;
    const CudaAddress there = stage.staging + stage.scattered_from;
    char* const here = stage.data + stage.scattered_from;
    if (stage.direction == Direction::kRead) {
      checked(io, stage, "cuMemcpyHtoDAsync", [&] { return cuda_.toDeviceAsync(there, here, length, stream_); });
      sendKernel(io, stage);
    } else {
      sendKernel(io, stage);
      checked(io, stage, "cuMemcpyDtoHAsync", [&] { return cuda_.toHostAsync(here, there, length, stream_); });
    }
  }
  const size_t count = stage.to.size();
  if (count > 1 && cuda_.copyBatch != nullptr) {
    CudaCopyAttributes attributes{};
    attributes.source_order = kCudaSourceOrderStream;
    size_t first = 0;
    size_t failed = 0;
    checked(io, stage, "cuMemcpyBatchAsync", [&] {
      return cuda_.copyBatch(stage.to.data(), stage.from.data(), stage.bytes.data(), count, &attributes, &first, 1,
                             &failed, stream_);
    });
  } else {
    for (size_t at = 0; at < count; ++at) {
      if (stage.direction == Direction::kRead) {
        const void* const from = reinterpret_cast<const void*>(stage.from[at]);
        checked(io, stage, "cuMemcpyHtoDAsync",
                [&] { return cuda_.toDeviceAsync(stage.to[at], from, stage.bytes[at], stream_); });
      } else {
        void* const to = reinterpret_cast<void*>(stage.to[at]);
        checked(io, stage, "cuMemcpyDtoHAsync",
                [&] { return cuda_.toHostAsync(to, stage.from[at], stage.bytes[at], stream_); });
      }
    }
  }
  stage.to.clear();
  stage.from.clear();
  stage.bytes.clear();
  stage.scattered_from = SIZE_MAX;
  stage.scattered_to = 0;
}

void Lane::launch(Io& io, Stage& stage) {
  if (stage.state != Stage::State::kFilling) return;
  sendCopies(io, stage);
  checked(io, stage, "cuEventRecord", [&] { return cuda_.recordEvent(stage.done, stream_); });
  stage.state = Stage::State::kInFlight;
}

Status Lane::wait(Io& io, Stage& stage) {
  if (stage.status.ok()) {
    const CudaResult error = io.device("cuEventQuery", [&] { return napUntil(cuda_, stage.done); });
    if (error != kCudaSuccess) stage.status = Status::fail(Step::kCopy, error);
  }
  if (!stage.status.ok()) {
    // Whatever was sent before the failure must have ended before anyone uses the memory again.
    (void)io.device("cuStreamSynchronize", [&] { return cuda_.synchronizeStream(stream_); });
  }
  return stage.status;
}

void Lane::reset(Stage& stage) {
  stage.state = Stage::State::kEmpty;
  stage.used = 0;
  stage.job_count = 0;
  stage.slices.clear();
  stage.status = {};
}

bool Lane::settledSoon(const Stage& stage) const {
  if (device_->enter() != kCudaSuccess) return false;
  const auto until = std::chrono::steady_clock::now() + kMoment;
  for (;;) {
    const CudaResult state = cuda_.queryEvent(stage.done);
    if (state != kCudaNotReady) return state == kCudaSuccess;
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status Lane::staging(Io& io, size_t bytes, CudaAddress& address) {
  Stage& stage = filling();
  Status made = reserve(io, bytes);
  if (made.ok()) made = ensureStaging(io, stage);
  if (made.ok()) address = stage.staging;
  return made;
}

Status Lane::scatter(Io& io, SpanCursor segments, Direction direction) {
  Stage& stage = filling();
  stage.state = Stage::State::kFilling;
  stage.direction = direction;
  CudaAddress staged = stage.staging;
  const auto round = [&] {
    sendKernel(io, stage);
    checked(io, stage, "cuStreamSynchronize", [&] { return cuda_.synchronizeStream(stream_); });
    stage.job_count = 0;
  };
  while (segments.left() > 0) {
    const Span segment = segments.piece(kMostJobBytes);
    const CudaAddress there = addressOf(segment.data);
    const bool load = direction == Direction::kRead;
    if (stage.job_count == kMostJobs) round();
    stage.jobs[stage.job_count++] = {load ? staged : there, load ? there : staged, segment.bytes};
    staged += segment.bytes;
    segments.advance(segment.bytes);
  }
  if (stage.job_count > 0) round();
  const Status result = stage.status;
  reset(stage);
  return result;
}

Status Lane::bring(Io& io, SpanCursor segments, char*& at) {
  if (const Status made = reserve(io, segments.left()); !made.ok()) return made;
  Stage& stage = filling();
  at = stage.data;
  for (size_t offset = 0; segments.left() > 0;) {
    const Span segment = segments.piece(SIZE_MAX);
    checked(io, stage, "cuMemcpyDtoHAsync",
            [&] { return cuda_.toHostAsync(stage.data + offset, addressOf(segment.data), segment.bytes, stream_); });
    offset += segment.bytes;
    segments.advance(segment.bytes);
  }
  checked(io, stage, "cuStreamSynchronize", [&] { return cuda_.synchronizeStream(stream_); });
  const Status result = stage.status;
  reset(stage);
  return result;
}

}  // namespace kvo
