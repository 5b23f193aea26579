// What of NativeEngine concerns device memory.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "arguments.h"
#include "aside.h"
#include "engine_object.h"

namespace kvo {

bool EngineObject::submitAfter(const std::shared_ptr<Batch>& batch, const Napi::Object& wait, Failure& why) {
  const auto handleOf = [&wait](const char* name) {
    bool lossless = false;
    const Napi::Value value = wait.Get(name);
    return value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  };
  const Cuda& cuda = session_->device->cuda;
  const Device::Scope scope(*session_->device);
  auto event = reinterpret_cast<CudaEvent>(handleOf("event"));
  CudaEvent own = nullptr;
  const char* call = "cuCtxPushCurrent";
  CudaResult error = scope.error;
  const auto next = [&](const char* name, auto&& made) {
    if (error != kCudaSuccess) return;
    call = name;
    error = made();
  };
  if (waiting_ == nullptr) {
    next("cuStreamCreate", [&] { return cuda.createStream(&waiting_, kCudaStreamNonBlocking); });
  }
  if (const Napi::Value shared = wait.Get("eventHandle"); shared.IsTypedArray()) {
    const Span given = bytesOf(shared);
    CudaIpcHandle handle{};
    std::memcpy(handle.bytes, given.data, std::min(given.bytes, sizeof handle.bytes));
    next("cuIpcOpenEventHandle", [&] { return cuda.openIpcEvent(&own, handle); });
    event = own;
  } else if (event == nullptr) {
    const auto stream = reinterpret_cast<CudaStream>(handleOf("stream"));
    next("cuEventCreate", [&] { return cuda.createEvent(&own, kCudaEventDisableTiming); });
    next("cuEventRecord", [&] { return cuda.recordEvent(own, stream); });
    event = own;
  }
  next("cuStreamWaitEvent", [&] { return cuda.waitEvent(waiting_, event, 0); });
  std::function<void()> begin;
  if (error == kCudaSuccess) begin = engine_->submitLater(batch);
  if (begin != nullptr) {
    auto held = std::make_unique<std::function<void()>>(begin);
    const auto run = [](void* data) {
      const std::unique_ptr<std::function<void()>> call_back(static_cast<std::function<void()>*>(data));
      (*call_back)();
    };
    next("cuLaunchHostFunc", [&] { return cuda.launchHost(waiting_, run, held.get()); });
    if (error == kCudaSuccess) (void)held.release();
    else engine_->abort(batch);
  }
  if (own != nullptr) (void)cuda.destroyEvent(own);
  if (error != kCudaSuccess) why = {call, error, cuda.describe(error)};
  // Aborted above, the batch settles by itself.
  return begin != nullptr;
}

Napi::Value EngineObject::addDeviceRegion(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  struct Adding {
    CudaAddress address = 0;
    size_t offset = 0;
    size_t bytes = 0;
    bool ipc = false;
    CudaIpcHandle handle{};
    std::shared_ptr<DeviceMemory> memory;
    Failure why;
    Napi::ObjectReference engine;
  };
  const auto options = info[0].As<Napi::Object>();
  auto adding = std::make_shared<Adding>();
  const Failure closed = {"closed", 0, "the engine is closed"};
  bool lossless = false;
  adding->bytes = static_cast<size_t>(options.Get("bytes").As<Napi::BigInt>().Uint64Value(&lossless));
  if (options.Has("address")) adding->address = options.Get("address").As<Napi::BigInt>().Uint64Value(&lossless);
  if (options.Has("handle")) {
    const Span handle = bytesOf(options.Get("handle"));
    if (handle.bytes != sizeof adding->handle) throw Napi::RangeError::New(env, "addDeviceRegion: no IPC handle");
    std::memcpy(adding->handle.bytes, handle.data, handle.bytes);
    adding->offset = static_cast<size_t>(options.Get("offset").As<Napi::BigInt>().Uint64Value(&lossless));
    adding->ipc = true;
  }
  adding->engine = Napi::Persistent(Value());
  const auto work = [adding, closed, session = session_, use_gds = use_gds_] {
    adding->why = closed;
    if (session == nullptr) return;
    const std::shared_ptr<Device>& device = session->device;
    const std::shared_ptr<Gds> gds = use_gds ? session->gds : nullptr;
    if (adding->ipc) {
      adding->memory = DeviceMemory::open(device, gds, adding->handle, adding->offset, adding->bytes, adding->why);
    } else if (adding->address != 0) {
      adding->memory = DeviceMemory::borrow(device, gds, adding->address, adding->bytes, adding->why);
    } else {
      adding->memory = DeviceMemory::allocate(device, gds, adding->bytes, adding->why);
    }
  };
  return runAside(env, work, [this, adding, closed](Napi::Env in) -> Napi::Value {
    adding->engine.Reset();
    if (adding->memory == nullptr) return failureObject(in, adding->why);
    if (closing_) {
      adding->memory.reset();
      return failureObject(in, closed);
    }
    DeviceMemory& memory = *adding->memory;
    const uint64_t region = regions_.add(reinterpret_cast<char*>(memory.address), memory.bytes, true);
    const Napi::Object added = Napi::Object::New(in);
    added.Set("region", static_cast<double>(region));
    added.Set("address", Napi::BigInt::New(in, memory.address));
    const char* const registered[] = {"whole", "pieces", "not"};
    added.Set("registered", registered[static_cast<size_t>(memory.registered)]);
    if (!memory.not_registered.call.empty()) {
      added.Set("refused", failureObject(in, memory.not_registered).Get("failure"));
    }
    device_memory_.emplace(region, std::move(adding->memory));
    return added;
  });
}

Napi::Value EngineObject::copyDevice(const Napi::CallbackInfo& info) {
  const auto region = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  const auto offset = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  const Span host = bytesOf(info[2]);
  const bool in = info[3].As<Napi::Boolean>().Value();
  const auto found = device_memory_.find(region);
  Failure why{"copyDevice", 1, "outside its region"};
  if (found == device_memory_.end() || regions_.resolve(region, offset, host.bytes).bytes != host.bytes) {
    return failureObject(info.Env(), why);
  }
  const bool good = in ? found->second->copyIn(offset, host.data, host.bytes, why)
                       : found->second->copyOut(offset, host.data, host.bytes, why);
  return good ? info.Env().Undefined() : Napi::Value(failureObject(info.Env(), why));
}

Napi::Value EngineObject::exportRegion(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto found = device_memory_.find(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  CudaIpcHandle handle{};
  Failure why{"exportRegion", 1, "no device memory of this engine"};
  if (found == device_memory_.end() || !found->second->exportHandle(handle, why)) return failureObject(env, why);
  Napi::Uint8Array bytes = Napi::Uint8Array::New(env, sizeof handle.bytes);
  std::memcpy(bytes.Data(), handle.bytes, sizeof handle.bytes);
  const Napi::Object exported = Napi::Object::New(env);
  exported.Set("handle", bytes);
  return exported;
}

Napi::Value EngineObject::synchronize(const Napi::CallbackInfo& info) {
  auto why = std::make_shared<Failure>();
  const auto work = [why, session = session_] {
    if (session == nullptr) return;
    const Device::Scope scope(*session->device);
    CudaResult error = scope.error;
    if (error == kCudaSuccess) error = session->device->cuda.synchronizeContext();
    if (error != kCudaSuccess) *why = {"cuCtxSynchronize", error, session->device->cuda.describe(error)};
  };
  return runAside(info.Env(), work, [why](Napi::Env env) -> Napi::Value {
    return why->call.empty() ? env.Undefined() : Napi::Value(failureObject(env, *why));
  });
}

Napi::Value EngineObject::gdsCounters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  GdsCounters counters;
  if (session_ == nullptr || !use_gds_ || session_->gds == nullptr || !session_->gds->counters(counters))
    return env.Undefined();
  const Napi::Object object = Napi::Object::New(env);
  object.Set("bytesRead", static_cast<double>(counters.bytes_read));
  object.Set("bytesWritten", static_cast<double>(counters.bytes_written));
  object.Set("reads", static_cast<double>(counters.read));
  object.Set("readsDirect", static_cast<double>(counters.read_direct));
  object.Set("readsPosix", static_cast<double>(counters.read_posix));
  object.Set("writes", static_cast<double>(counters.written));
  object.Set("writesDirect", static_cast<double>(counters.written_direct));
  object.Set("writesPosix", static_cast<double>(counters.written_posix));
  return object;
}

// Threads are gone, but for those that hang: then nothing is freed that they might still write to.
void EngineObject::freeMemory() {
  arenas_.clear();
  if (engine_->stuck().empty()) device_memory_.clear();
  else if (!device_memory_.empty()) (void)new auto(std::move(device_memory_));
  if (waiting_ != nullptr) {
    const Device::Scope scope(*session_->device);
    (void)session_->device->cuda.destroyStream(waiting_);
    waiting_ = nullptr;
  }
  if (session_ != nullptr && use_gds_ && session_->gds != nullptr) session_->gds->endUse();
  session_.reset();
}

}  // namespace kvo
