#include "engine_object.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "arguments.h"

namespace kvo {
namespace {

Napi::Object outcomesOf(Napi::Env env, const Batch& batch) {
  const Napi::Object outcomes = Napi::Object::New(env);
  Napi::BigInt64Array words = Napi::BigInt64Array::New(env, batch.count * 4);
  for (size_t index = 0; index < batch.count; ++index) {
    const Answer& answer = batch.answers[index];
    words[index * 4] = static_cast<int64_t>(answer.outcome);
    words[index * 4 + 1] = answer.code;
    words[index * 4 + 2] = static_cast<int64_t>(answer.bytes);
    words[index * 4 + 3] = static_cast<int64_t>(answer.via) | static_cast<int64_t>(answer.step) << 8 |
                           static_cast<int64_t>(answer.header_end) << 32;
  }
  Napi::BigUint64Array sums = Napi::BigUint64Array::New(env, batch.sums.size());
  if (!batch.sums.empty()) std::memcpy(sums.Data(), batch.sums.data(), batch.sums.size() * sizeof(uint64_t));
  outcomes.Set("words", words);
  outcomes.Set("stuck", batch.stuck.load(std::memory_order_acquire));
  outcomes.Set("sums", sums);
  return outcomes;
}

EngineOptions readOptions(const Napi::Object& options) {
  EngineOptions read;
  read.threads = options.Get("ioThreads").As<Napi::Number>().Int32Value();
  read.slice_bytes = static_cast<size_t>(options.Get("sliceBytes").As<Napi::Number>().Int64Value());
  read.direct = options.Get("directIo").As<Napi::Boolean>().Value();
  read.open_files = static_cast<size_t>(options.Get("openFiles").As<Napi::Number>().Int64Value());
  if (const auto session = sessionOf(options.Get("device")); session != nullptr) {
    read.device = session->device;
    if (options.Get("useGds").As<Napi::Boolean>().Value()) read.gds = session->gds;
    read.require_gds = options.Get("requireGds").As<Napi::Boolean>().Value();
  }
  read.timeout = std::chrono::milliseconds(options.Get("timeoutMs").As<Napi::Number>().Int64Value());
  if (read.threads < 1 || read.slice_bytes < kDirectUnit || read.slice_bytes % kDirectUnit != 0) {
    throw Napi::RangeError::New(options.Env(), "NativeEngine: ioThreads or sliceBytes out of bounds");
  }
  return read;
}

std::shared_ptr<Files> readFiles(const Napi::Object& options) {
  const Napi::Value faults = options.Get("faults");
  if (faults.IsUndefined()) return posixFiles();
  auto files = faultyFiles(posixFiles(), faults.As<Napi::String>().Utf8Value());
  if (files == nullptr) throw Napi::RangeError::New(options.Env(), "NativeEngine: faults do not parse");
  return files;
}

}  // namespace

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "NativeEngine",
                     {
                         InstanceMethod<&EngineObject::addHostRegion>("addHostRegion"),
                         InstanceMethod<&EngineObject::addDeviceRegion>("addDeviceRegion"),
                         InstanceMethod<&EngineObject::copyDevice>("copyDevice"),
                         InstanceMethod<&EngineObject::exportRegion>("exportRegion"),
                         InstanceMethod<&EngineObject::synchronize>("synchronize"),
                         InstanceMethod<&EngineObject::gdsCounters>("gdsCounters"),
                         InstanceMethod<&EngineObject::releaseRegion>("releaseRegion"),
                         InstanceMethod<&EngineObject::submit>("submit"),
                         InstanceMethod<&EngineObject::abort>("abort"),
                         InstanceMethod<&EngineObject::stats>("stats"),
                         InstanceMethod<&EngineObject::close>("close"),
                     });
}

EngineObject::EngineObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<EngineObject>(info),
      addon_(*info.Env().GetInstanceData<std::shared_ptr<AddonData>>()),
      session_(sessionOf(info[0].As<Napi::Object>().Get("device"))) {
  use_gds_ = session_ != nullptr && info[0].As<Napi::Object>().Get("useGds").As<Napi::Boolean>().Value();
  const auto options = info[0].As<Napi::Object>();
  const EngineOptions read = readOptions(options);
  engine_ = std::make_unique<Engine>(read, readFiles(options), [this](const std::shared_ptr<Batch>& batch) {
    addon_->completions.put([this, ticket = batch->ticket](Napi::Env env) { settle(env, ticket); });
  });
  if (use_gds_ && session_->gds != nullptr) session_->gds->beginUse();
  addon_->engines.insert(this);
}

EngineObject::~EngineObject() {
  // Only an engine with nothing outstanding is collected, since each batch holds a reference to it.
  closeNow();
  addon_->engines.erase(this);
}

void EngineObject::closeNow() {
  if (!engine_) return;
  engine_->close({});
  engine_->join();
  freeMemory();
}

Napi::Value EngineObject::addHostRegion(const Napi::CallbackInfo& info) {
  const Span start = bytesOf(info[0]);
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  const uint64_t region = regions_.add(start.data, bytes);
  region_memory_.emplace(region, Napi::Persistent(info[0].As<Napi::Object>()));
  if (info[2].ToBoolean().Value()) arenas_.try_emplace(region, start.data, bytes);
  return Napi::Number::New(info.Env(), static_cast<double>(region));
}

Napi::Value EngineObject::releaseRegion(const Napi::CallbackInfo& info) {
  const auto region = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  const bool removed = regions_.remove(region);
  if (removed) arenas_.erase(region);
  if (removed) region_memory_.erase(region);
  if (removed) device_memory_.erase(region);
  return Napi::Boolean::New(info.Env(), removed);
}

Napi::Value EngineObject::submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ReadPlan plan = readPlan(env, info[0].As<Napi::Object>(), regions_);
  napi_deferred deferred = nullptr;
  napi_value done = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_create_promise(env, &deferred, &done), Napi::Value());
  const uint64_t ticket = ++last_ticket_;
  plan.batch->ticket = ticket;
  for (const uint64_t region : plan.regions) regions_.lease(region);

  Outstanding& entry = outstanding_[ticket];
  entry.batch = plan.batch;
  entry.deferred = deferred;
  entry.regions = std::move(plan.regions);
  if (!plan.memory.IsEmpty()) entry.memory = Napi::Persistent(plan.memory);
  if (!plan.headers.IsEmpty()) entry.headers = Napi::Persistent(plan.headers);
  entry.engine = Napi::Persistent(Value());
  addon_->completions.expect(env);

  const Napi::Value wait = info[0].As<Napi::Object>().Get("wait");
  Failure why;
  const bool waits = wait.IsObject() && plan.batch->count > 0;
  const bool submitted_now = waits ? submitAfter(plan.batch, wait.As<Napi::Object>(), why)
                                   : plan.batch->count > 0 && engine_->submit(plan.batch);
  if (!submitted_now) {
    // Nothing to wait for, or closed meanwhile: settles by the same way as the rest.
    for (Answer& answer : plan.batch->answers) answer.outcome = Outcome::kAborted;
    addon_->completions.put([this, ticket](Napi::Env in) { settle(in, ticket); });
  }

  const Napi::Object submitted = Napi::Object::New(env);
  submitted.Set("ticket", static_cast<double>(ticket));
  submitted.Set("done", Napi::Value(env, done));
  if (!why.call.empty()) submitted.Set("failure", failureObject(env, why).Get("failure"));
  return submitted;
}

void EngineObject::settle(Napi::Env env, uint64_t ticket) {
  const auto found = outstanding_.find(ticket);
  Outstanding entry = std::move(found->second);
  outstanding_.erase(found);
  if (entry.batch->stuck.load(std::memory_order_acquire)) {
    // A system call may still write to the memory: its regions stay leased and its buffers are never collected.
    if (!entry.memory.IsEmpty()) entry.memory.SuppressDestruct();
    if (!entry.headers.IsEmpty()) entry.headers.SuppressDestruct();
    for (const uint64_t region : entry.regions) {
      if (const auto host = region_memory_.find(region); host != region_memory_.end()) host->second.SuppressDestruct();
      // Never freed: this owner outlives everything.
      if (const auto device = device_memory_.find(region); device != device_memory_.end()) {
        (void)new std::shared_ptr<DeviceMemory>(device->second);
      }
    }
  } else {
    for (const uint64_t region : entry.regions) regions_.giveBack(region);
  }
  const Napi::Object outcomes = outcomesOf(env, *entry.batch);
  resolve(env, entry.deferred, outcomes);
}

void EngineObject::abort(const Napi::CallbackInfo& info) {
  const auto found = outstanding_.find(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  if (found != outstanding_.end()) engine_->abort(found->second.batch);
}

void EngineObject::stats(const Napi::CallbackInfo& info) {
  const Span into = bytesOf(info[0]);
  auto* const words = reinterpret_cast<uint64_t*>(into.data);
  const size_t count = std::min(into.bytes / sizeof(uint64_t), kStatNames.size());
  for (size_t at = 0; at < count; ++at) words[at] = engine_->stats().get(static_cast<Stat>(at));
}

Napi::Value EngineObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  napi_deferred deferred = nullptr;
  napi_value done = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_create_promise(env, &deferred, &done), Napi::Value());
  if (closing_) {
    (void)napi_resolve_deferred(env, deferred, Napi::Array::New(env));
    return Napi::Value(env, done);
  }
  closing_ = true;
  addon_->completions.expect(env);
  auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(Value()));
  engine_->close([this, deferred, self] {
    addon_->completions.put([this, deferred, self](Napi::Env in) {
      engine_->join();
      const Napi::Array stuck = Napi::Array::New(in);
      uint32_t at = 0;
      for (const std::string& what : engine_->stuck()) stuck.Set(at++, what);
      freeMemory();
      resolve(in, deferred, stuck);
      self->Reset();
    });
  });
  return Napi::Value(env, done);
}

}  // namespace kvo
