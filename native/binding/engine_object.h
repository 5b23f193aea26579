// The class NativeEngine as JavaScript sees it. One engine, its regions, and the batches outstanding.
#pragma once

#include "napi_setup.h"

#include <memory>
#include <unordered_map>

#include "../core/arena_memory.h"
#include "../core/device_memory.h"
#include "../core/engine.h"
#include "../core/regions.h"
#include "addon.h"
#include "device_session.h"

namespace kvo {

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit EngineObject(const Napi::CallbackInfo& info);
  ~EngineObject() override;

  // For teardown: closes and waits, without JavaScript.
  void closeNow();

 private:
  // A batch under way, with what it keeps alive.
  struct Outstanding {
    std::shared_ptr<Batch> batch;
    napi_deferred deferred = nullptr;
    std::vector<uint64_t> regions;
    Napi::ObjectReference memory;
    Napi::ObjectReference headers;
    Napi::ObjectReference engine;
  };

  Napi::Value addHostRegion(const Napi::CallbackInfo& info);
  Napi::Value addDeviceRegion(const Napi::CallbackInfo& info);
  Napi::Value copyDevice(const Napi::CallbackInfo& info);
  Napi::Value exportRegion(const Napi::CallbackInfo& info);
  Napi::Value synchronize(const Napi::CallbackInfo& info);
  Napi::Value gdsCounters(const Napi::CallbackInfo& info);
  Napi::Value releaseRegion(const Napi::CallbackInfo& info);
  Napi::Value submit(const Napi::CallbackInfo& info);
  void abort(const Napi::CallbackInfo& info);
  void stats(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void settle(Napi::Env env, uint64_t ticket);
  // Queues a batch when the device has got so far. False with `why` where CUDA refuses.
  bool submitAfter(const std::shared_ptr<Batch>& batch, const Napi::Object& wait, Failure& why);
  void freeMemory();

  const std::shared_ptr<AddonData> addon_;
  std::shared_ptr<DeviceSession> session_;  // null without a device, and once closed
  bool use_gds_ = false;
  CudaStream waiting_ = nullptr;  // where batches wait for other streams
  Regions regions_;
  std::unordered_map<uint64_t, std::shared_ptr<DeviceMemory>> device_memory_;
  std::unordered_map<uint64_t, Napi::ObjectReference> region_memory_;
  std::unordered_map<uint64_t, ArenaMemory> arenas_;  // after region_memory_, which keeps them alive
  std::unordered_map<uint64_t, Outstanding> outstanding_;
  uint64_t last_ticket_ = 0;
  bool closing_ = false;
  // Last, so that it is gone before what its threads use.
  std::unique_ptr<Engine> engine_;
};

}  // namespace kvo
