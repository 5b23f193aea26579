// What belongs to one environment (the main thread, or a worker): its completion queue and its engines.
#pragma once

#include "napi_setup.h"

#include <memory>
#include <unordered_set>

#include "completions.h"

namespace kvo {

class EngineObject;

struct AddonData {
  explicit AddonData(Napi::Env env) : completions(env) {}

  Completions completions;
  std::unordered_set<EngineObject*> engines;
};

void definePure(Napi::Env env, Napi::Object exports);

}  // namespace kvo
