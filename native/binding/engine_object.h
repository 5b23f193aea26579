// The class NativeEngine as JavaScript sees it. One engine, its regions, and the batches outstanding.
#pragma once

#include "napi_setup.h"

#include <memory>
#include <unordered_map>

#include "../core/engine.h"
#include "../core/regions.h"
#include "addon.h"

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
    Napi::ObjectReference engine;
  };

  Napi::Value addHostRegion(const Napi::CallbackInfo& info);
  Napi::Value releaseRegion(const Napi::CallbackInfo& info);
  Napi::Value submit(const Napi::CallbackInfo& info);
  void abort(const Napi::CallbackInfo& info);
  void stats(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void settle(Napi::Env env, uint64_t ticket);

  const std::shared_ptr<AddonData> addon_;
  Regions regions_;
  std::unordered_map<uint64_t, Napi::ObjectReference> region_memory_;
  std::unordered_map<uint64_t, Outstanding> outstanding_;
  uint64_t last_ticket_ = 0;
  bool closing_ = false;
  // Last, so that it is gone before what its threads use.
  std::unique_ptr<Engine> engine_;
};

}  // namespace kvo
