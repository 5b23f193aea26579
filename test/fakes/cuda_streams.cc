// The fake CUDA's streams, events, copies and launches.
#include <algorithm>
#include <cstring>
#include <vector>

#include "counters.h"
#include "driver.h"
#include "exports.h"

namespace kvo::fake {
namespace {

using What = Located::What;

CudaAddress addressOf(const void* pointer) { return reinterpret_cast<CudaAddress>(pointer); }

bool isPageable(const Copy& copy) {
  return driver().memory.locate(copy.to, copy.bytes).what == What::kPageable ||
         driver().memory.locate(copy.from, copy.bytes).what == What::kPageable;
}

// Of a copy that was asked for as one between host and device.
bool isBetween(CudaAddress device, CudaAddress host, size_t bytes) {
  const auto is_device = [&](CudaAddress address) { return driver().memory.locate(address, bytes).block != nullptr; };
  return is_device(device) && !is_device(host);
}

// At once, by the calling thread. Null pointers and the like are an error, no crash.
bool copyNow(const std::vector<Copy>& copies) {
  return std::all_of(copies.begin(), copies.end(), [](const Copy& copy) {
    return copyBytes(driver().memory.locate(copy.to, copy.bytes), driver().memory.locate(copy.from, copy.bytes),
                     copy.bytes);
  });
}

CudaResult copySynchronously(CudaAddress device, CudaAddress host, const Copy& copy) {
  if (copy.bytes == 0) return kCudaSuccess;
  const bool is_good = firstBadCopy(driver().memory, {copy}, "a copy") == 1 && isBetween(device, host, copy.bytes);
  if (!is_good) return kInvalidValue;
  driver().drain(*currentContext(), true);
  count(Counter::kCopies);
  return copyNow({copy}) ? kCudaSuccess : kInvalidValue;
}

// Pageable memory makes the driver wait, as the real one does.
CudaResult submit(StreamOf& of, std::vector<Copy> copies) {
  driver().order(*of.context, *of.stream);
  if (std::any_of(copies.begin(), copies.end(), isPageable)) {
    count(Counter::kPageable);
    of.stream->drain();
    return copyNow(copies) ? kCudaSuccess : kInvalidValue;
  }
  Work work;
  work.copies = std::move(copies);
  work.fault = "streamCopy";
  of.stream->submit(std::move(work));
  return kCudaSuccess;
}

CudaResult copyOnStream(CudaAddress device, CudaAddress host, const Copy& copy, CudaStream stream) {
  const auto of = driver().streamOf(stream);
  if (!of) return kInvalidHandle;
  if (copy.bytes == 0) return kCudaSuccess;
  const bool is_good = firstBadCopy(driver().memory, {copy}, "a copy") == 1 && isBetween(device, host, copy.bytes);
  if (!is_good) return kInvalidValue;
  count(Counter::kCopies);
  return submit(*of, {copy});
}

bool areAttributesGood(const CudaCopyAttributes* attributes, const size_t* at, size_t number, size_t copies) {
  if (attributes == nullptr || at == nullptr || number == 0 || number > copies || at[0] != 0) return false;
  for (size_t index = 0; index < number; ++index) {
    const int order = attributes[index].source_order;
    if (order < 1 || order > 3 || attributes[index].flags > 1) return false;
    if (index > 0 && (at[index] <= at[index - 1] || at[index] >= copies)) return false;
  }
  return true;
}

// By number alone (cuGetProcAddress_v2): 12.8's.
CudaResult copyBatch(CudaAddress* to, CudaAddress* from, size_t* bytes, size_t number, CudaCopyAttributes* attributes,
                     size_t* attribute_at, size_t attributes_number, size_t* failed_at, CudaStream stream) {
  if (failed_at == nullptr) return kInvalidValue;
  *failed_at = SIZE_MAX;
  return call("copyBatch", Needs::kContext, [&] {
    if (isNullStream(stream)) return kInvalidValue;
    const auto of = driver().streamOf(stream);
    if (!of) return kInvalidHandle;
    if (to == nullptr || from == nullptr || bytes == nullptr || number == 0) return kInvalidValue;
    if (!areAttributesGood(attributes, attribute_at, attributes_number, number)) return kInvalidValue;
    std::vector<Copy> copies;
    copies.reserve(number);
    for (size_t index = 0; index < number; ++index) copies.push_back({to[index], from[index], bytes[index]});
    const size_t first_bad = firstBadCopy(driver().memory, copies, "a copy of a batch");
    for (size_t index = 0; index < number; ++index) {
      const Copy& copy = copies[index];
      const bool is_device =
          driver().memory.locate(copy.to, copy.bytes).block || driver().memory.locate(copy.from, copy.bytes).block;
      if (index != first_bad && copy.bytes > 0 && is_device) continue;
      *failed_at = index;
      return kInvalidValue;
    }
    count(Counter::kBatches);
    count(Counter::kBatchCopies, static_cast<long long>(number));
    return submit(*of, std::move(copies));
  });
}

std::shared_ptr<Recording> lastOf(EventOf& event) {
  const std::lock_guard lock(event.mutex);
  return event.last || !event.shared ? event.last : event.shared->last();
}

CudaResult waitEvent(CudaStream stream, CudaEvent event, unsigned) {
  return call("waitEvent", Needs::kContext, [&] {
    const auto of = driver().streamOf(stream);
    const auto one = driver().events.find(event);
    if (!of || !one) return kInvalidHandle;
    if (auto last = lastOf(*one)) of->stream->waitFor(std::move(last));
    return kCudaSuccess;
  });
}

}  // namespace

KVO_FAKE_MAY_BE_ABSENT(cuStreamWaitEvent, "waitEvent", waitEvent);

KVO_FAKE_API CudaResult cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t, int* status) {
  *function = nullptr;
  if (status != nullptr) *status = 1;  // no such symbol
  if (std::strcmp(symbol, "cuMemcpyBatchAsync") != 0 || isAbsent("copyBatch")) return kNotFound;
  if (status != nullptr) *status = 2;  // not in that version
  if (version < 12080 || version >= 13000 || driverVersion() < 12080) return kNotFound;
  if (status != nullptr) *status = 0;
  *function = reinterpret_cast<void*>(&copyBatch);
  return kCudaSuccess;
}

KVO_FAKE_API CudaResult cuCtxSynchronize() {
  return call("synchronizeContext", Needs::kContext, [] {
    driver().drain(*currentContext());
    return currentContext()->health.error();
  });
}

KVO_FAKE_API CudaResult cuStreamCreate(CudaStream* stream, unsigned flags) {
  return call("createStream", Needs::kContext, [&] {
    if (flags > kCudaStreamNonBlocking) return kInvalidValue;
    Context& context = *currentContext();
    const bool is_blocking = flags != kCudaStreamNonBlocking;
    *stream =
        driver().streams.add(std::make_shared<StreamOf>(StreamOf{driver().newStream(context, is_blocking), &context}));
    count(Counter::kStreams);
    return kCudaSuccess;
  });
}

// Its work is done all the same, later.
KVO_FAKE_API CudaResult cuStreamDestroy_v2(CudaStream stream) {
  return call("destroyStream", Needs::kContext, [&] {
    const auto of = driver().streams.take(stream);
    if (!of) return kInvalidHandle;
    of->stream->close();
    count(Counter::kStreams, -1);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuStreamSynchronize(CudaStream stream) {
  return call("synchronizeStream", Needs::kContext, [&] {
    const auto of = driver().streamOf(stream);
    if (!of) return kInvalidHandle;
    of->stream->drain();
    return of->context->health.error();
  });
}

KVO_FAKE_API CudaResult cuLaunchHostFunc(CudaStream stream, void (*function)(void*), void* argument) {
  return call("launchHost", Needs::kContext, [&] {
    const auto of = driver().streamOf(stream);
    if (!of) return kInvalidHandle;
    if (function == nullptr) return kInvalidValue;
    Work work;
    work.fault = "streamHost";
    work.run = [function, argument](Health&) {
      inHostFunction() = true;
      function(argument);
      inHostFunction() = false;
      count(Counter::kHostCalls);
    };
    driver().order(*of->context, *of->stream);
    of->stream->submit(std::move(work));
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuEventCreate(CudaEvent* event, unsigned flags) {
  return call("createEvent", Needs::kContext, [&] {
    if (flags > 7) return kInvalidValue;
    auto one = std::make_shared<EventOf>();
    one->context = currentContext();
    one->interprocess = (flags & kEventInterprocess) != 0;
    if (one->interprocess && (flags & kCudaEventDisableTiming) == 0) return kInvalidValue;
    *event = driver().events.add(std::move(one));
    count(Counter::kEvents);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuEventDestroy_v2(CudaEvent event) {
  return call("destroyEvent", Needs::kContext, [&] {
    if (!driver().events.take(event)) return kInvalidHandle;
    count(Counter::kEvents, -1);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuEventRecord(CudaEvent event, CudaStream stream) {
  return call("recordEvent", Needs::kContext, [&] {
    const auto of = driver().streamOf(stream);
    const auto one = driver().events.find(event);
    if (!of || !one || of->context != one->context) return kInvalidHandle;
    driver().order(*of->context, *of->stream);
    const std::lock_guard lock(one->mutex);
    one->last = of->stream->record();
    if (one->shared) one->shared->record(*of->stream);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuIpcGetEventHandle(CudaIpcHandle* handle, CudaEvent event) {
  return call("getIpcEvent", Needs::kContext, [&] {
    const auto one = driver().events.find(event);
    if (!one || !one->interprocess) return kInvalidHandle;
    const std::lock_guard lock(one->mutex);
    if (!one->shared) one->shared = SharedEvent::make();
    if (!one->shared) return kCudaOutOfMemory;
    *handle = one->shared->handle();
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuIpcOpenEventHandle(CudaEvent* event, CudaIpcHandle handle) {
  return call("openIpcEvent", Needs::kContext, [&] {
    auto one = std::make_shared<EventOf>();
    one->context = currentContext();
    one->shared = SharedEvent::open(handle);
    if (!one->shared) return kInvalidHandle;
    *event = driver().events.add(std::move(one));
    count(Counter::kEvents);
    return kCudaSuccess;
  });
}

KVO_FAKE_API CudaResult cuEventQuery(CudaEvent event) {
  return call("queryEvent", Needs::kContext, [&] {
    const auto one = driver().events.find(event);
    if (!one) return kInvalidHandle;
    const auto last = lastOf(*one);
    if (last && !last->isDone()) return kCudaNotReady;
    return one->context->health.error();
  });
}

KVO_FAKE_API CudaResult cuEventSynchronize(CudaEvent event) {
  return call("synchronizeEvent", Needs::kContext, [&] {
    const auto one = driver().events.find(event);
    if (!one) return kInvalidHandle;
    if (const auto last = lastOf(*one)) last->wait();
    return one->context->health.error();
  });
}

KVO_FAKE_API CudaResult cuMemcpyHtoD_v2(CudaAddress to, const void* from, size_t bytes) {
  return call("toDevice", Needs::kContext, [&] {
    return copySynchronously(to, addressOf(from), {to, addressOf(from), bytes});
  });
}

KVO_FAKE_API CudaResult cuMemcpyDtoH_v2(void* to, CudaAddress from, size_t bytes) {
  return call("toHost", Needs::kContext, [&] {
    return copySynchronously(from, addressOf(to), {addressOf(to), from, bytes});
  });
}

KVO_FAKE_API CudaResult cuMemcpyHtoDAsync_v2(CudaAddress to, const void* from, size_t bytes, CudaStream stream) {
  return call("toDeviceAsync", Needs::kContext, [&] {
    return copyOnStream(to, addressOf(from), {to, addressOf(from), bytes}, stream);
  });
}

KVO_FAKE_API CudaResult cuMemcpyDtoHAsync_v2(void* to, CudaAddress from, size_t bytes, CudaStream stream) {
  return call("toHostAsync", Needs::kContext, [&] {
    return copyOnStream(from, addressOf(to), {addressOf(to), from, bytes}, stream);
  });
}

KVO_FAKE_API CudaResult cuLaunchKernel(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned,
                                       CudaStream stream, void** parameters, void** extra) {
  return call("launchKernel", Needs::kContext, [&] {
    const auto of = driver().streamOf(stream);
    const auto kernel = driver().functions.find(function);
    if (!of || !kernel || kernel->context != currentContext() || of->context != currentContext()) return kInvalidHandle;
    const bool is_shape =
        grid_x > 0 && grid_y == 1 && grid_z == 1 && block_x > 0 && block_x <= 1024 && block_y == 1 && block_z == 1;
    if (!is_shape || parameters == nullptr || extra != nullptr) return kInvalidValue;
    CudaAddress jobs = 0;
    unsigned number = 0;
    std::memcpy(&jobs, parameters[0], sizeof jobs);
    std::memcpy(&number, parameters[1], sizeof number);
    return launchMove(*of->context, *of->stream, block_x, jobs, number);
  });
}

KVO_FAKE_IS(cuCtxSynchronize, Cuda::synchronizeContext);
KVO_FAKE_IS(cuStreamCreate, Cuda::createStream);
KVO_FAKE_IS(cuStreamDestroy_v2, Cuda::destroyStream);
KVO_FAKE_IS(cuStreamSynchronize, Cuda::synchronizeStream);
KVO_FAKE_IS(cuLaunchHostFunc, Cuda::launchHost);
KVO_FAKE_IS(cuEventCreate, Cuda::createEvent);
KVO_FAKE_IS(cuEventDestroy_v2, Cuda::destroyEvent);
KVO_FAKE_IS(cuEventRecord, Cuda::recordEvent);
KVO_FAKE_IS(cuEventQuery, Cuda::queryEvent);
KVO_FAKE_IS(cuEventSynchronize, Cuda::synchronizeEvent);
KVO_FAKE_IS(cuIpcOpenEventHandle, Cuda::openIpcEvent);
KVO_FAKE_IS(cuIpcGetEventHandle, static_cast<GetEventHandle*>(nullptr));
KVO_FAKE_IS(cuMemcpyHtoD_v2, Cuda::toDevice);
KVO_FAKE_IS(cuMemcpyDtoH_v2, Cuda::toHost);
KVO_FAKE_IS(cuMemcpyHtoDAsync_v2, Cuda::toDeviceAsync);
KVO_FAKE_IS(cuMemcpyDtoHAsync_v2, Cuda::toHostAsync);
KVO_FAKE_IS(cuLaunchKernel, Cuda::launchKernel);
KVO_FAKE_IS(cuStreamWaitEvent, Cuda::waitEvent);
KVO_FAKE_IS(copyBatch, Cuda::copyBatch);

}  // namespace kvo::fake
