#include "lane.h"

#include <time.h>

#include <algorithm>

namespace plain {

Lane::Lane(Run& run, size_t index) : slices(run.options.slices), run_(run) {
  const Options& options = run.options;
  const kvo::Cuda& cuda = run.machine.cuda();
  const size_t all = options.threads * options.slices;
  const size_t most_jobs = options.slice / options.piece();
  char* const memory = run.machine.pinned(all * options.slice);
  streams_.resize(options.streams);
  for (kvo::CudaStream& stream : streams_)
    run.machine.check(cuda.createStream(&stream, kvo::kCudaStreamNonBlocking), "cuStreamCreate");
  for (size_t own = 0; own < slices.size(); ++own) {
    Slice& slice = slices[own];
    const size_t number = index * slices.size() + own;
    slice.memory = memory + number * options.slice;
    if (options.segment != 0 && options.reach != Reach::kBatch) {
      slice.jobs = run.machine.jobs(all * most_jobs * sizeof(Job)) + number * most_jobs;
      slice.staging = run.machine.staging(all * options.slice) + number * options.slice;
    }
    slice.stream = streams_[own % streams_.size()];
    const unsigned flags =
        kvo::kCudaEventDisableTiming | (options.wait == Wait::kBlock ? kvo::kCudaEventBlockingSync : 0);
    run.machine.check(cuda.createEvent(&slice.event, flags), "cuEventCreate");
  }
}

Lane::~Lane() {
  const kvo::Cuda& cuda = run_.machine.cuda();
  for (const Slice& slice : slices) run_.machine.check(cuda.destroyEvent(slice.event), "cuEventDestroy");
  for (const kvo::CudaStream stream : streams_) run_.machine.check(cuda.destroyStream(stream), "cuStreamDestroy");
}

bool Lane::take(Slice& slice) {
  const Options& options = run_.options;
  slice.parts.clear();
  if (options.bytes <= options.slice) {
    // Several to a slice, but a share for every thread.
    const size_t fair = std::max<size_t>(options.perCall() / (options.threads * 2), 1);
    const size_t group = std::min(options.slice / options.bytes, fair);
    const size_t first = run_.next.fetch_add(group);
    for (size_t file = first; file < std::min(first + group, run_.end); ++file)
      slice.parts.push_back({file, 0, options.bytes, (file - first) * options.bytes});
    return !slice.parts.empty();
  }
  if (offset_ == 0) file_ = run_.next.fetch_add(1);
  if (file_ >= run_.end) return false;
  const size_t length = std::min(options.slice, options.bytes - offset_);
  slice.parts.push_back({file_, offset_, length, 0});
  offset_ = offset_ + length == options.bytes ? 0 : offset_ + length;
  return true;
}

void Lane::list(const Slice& slice) {
  device_.clear();
  host_.clear();
  bytes_.clear();
  const size_t piece = run_.options.segment == 0 ? run_.places.segment() : run_.options.piece();
  for (const Part& part : slice.parts) {
    const size_t start = part.file * run_.options.bytes + part.offset;
    for (size_t done = 0; done < part.length;) {
      const size_t length = std::min(part.length - done, piece - (start + done) % piece);
      device_.push_back(run_.target + run_.places.placeOf(start + done));
      host_.push_back(reinterpret_cast<kvo::CudaAddress>(slice.memory) + part.at + done);
      bytes_.push_back(length);
      done += length;
    }
  }
}

void Lane::copyEach(Slice& slice, bool to_device) {
  const kvo::Cuda& cuda = run_.machine.cuda();
  const auto memory = reinterpret_cast<kvo::CudaAddress>(slice.memory);
  for (size_t i = 0; i < bytes_.size(); ++i) {
    char* const host = slice.memory + (host_[i] - memory);
    run_.machine.check(to_device ? cuda.toDeviceAsync(device_[i], host, bytes_[i], slice.stream)
                                 : cuda.toHostAsync(host, device_[i], bytes_[i], slice.stream),
                       "cuMemcpyAsync");
  }
}

void Lane::copyBatch(Slice& slice, bool to_device) {
  const kvo::Cuda& cuda = run_.machine.cuda();
  if (cuda.copyBatch == nullptr || bytes_.size() == 1) return copyEach(slice, to_device);
  kvo::CudaCopyAttributes attributes = {};
  attributes.source_order = kvo::kCudaSourceOrderStream;
  size_t first = 0;
  size_t failed = 0;
  run_.machine.check(cuda.copyBatch((to_device ? device_ : host_).data(), (to_device ? host_ : device_).data(),
                                    bytes_.data(), bytes_.size(), &attributes, &first, 1, &failed, slice.stream),
                     "cuMemcpyBatchAsync");
}

void Lane::copyWithKernel(Slice& slice, bool to_device) {
  const kvo::Cuda& cuda = run_.machine.cuda();
  const bool direct = run_.options.reach == Reach::kDirect;
  const auto memory = reinterpret_cast<kvo::CudaAddress>(slice.memory);
  for (size_t i = 0; i < bytes_.size(); ++i) {
    const kvo::CudaAddress near = direct ? host_[i] : slice.staging + (host_[i] - memory);
    slice.jobs[i] = to_device ? Job{near, device_[i], bytes_[i]} : Job{device_[i], near, bytes_[i]};
  }
  if (!direct && to_device)
    run_.machine.check(cuda.toDeviceAsync(slice.staging, slice.memory, used(slice), slice.stream), "cuMemcpyHtoDAsync");
  run_.machine.move(slice.jobs, bytes_.size(), run_.options.blocks, slice.stream);
  if (!direct && !to_device)
    run_.machine.check(cuda.toHostAsync(slice.memory, slice.staging, used(slice), slice.stream), "cuMemcpyDtoHAsync");
}

void Lane::move(Slice& slice, bool to_device) {
  if (run_.options.copy == Copy::kNone) return;
  list(slice);
  if (run_.options.segment != 0 && run_.options.reach != Reach::kBatch) copyWithKernel(slice, to_device);
  else if (run_.options.copy == Copy::kEach) copyEach(slice, to_device);
  else copyBatch(slice, to_device);
  run_.machine.check(run_.machine.cuda().recordEvent(slice.event, slice.stream), "cuEventRecord");
  slice.busy = true;
}

void Lane::wait(Slice& slice) {
  if (!slice.busy) return;
  slice.busy = false;
  const kvo::Cuda& cuda = run_.machine.cuda();
  if (run_.options.wait != Wait::kNap) {
    run_.machine.check(cuda.synchronizeEvent(slice.event), "cuEventSynchronize");
    return;
  }
  for (;;) {
    const kvo::CudaResult result = cuda.queryEvent(slice.event);
    if (result != kvo::kCudaNotReady) return run_.machine.check(result, "cuEventQuery");
    const timespec nap = {0, static_cast<long>(run_.options.nap) * 1000};
    (void)nanosleep(&nap, nullptr);
  }
}

}  // namespace plain
