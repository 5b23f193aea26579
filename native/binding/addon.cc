#include "addon.h"

#include "../core/stats.h"
#include "../core/status.h"
#include "engine_object.h"

namespace kvo {
namespace {

// The order matters: threads first, then the function they call. The thread-safe function was made before this hook
// was added, so Node still has it when the hook runs.
void tearDown(AddonData* data) {
  for (EngineObject* engine : data->engines) engine->closeNow();
  data->completions.release();
  Gds::restUnused();
}

// CUfileOpError by number.
Napi::Object cufileCodes(Napi::Env env) {
  const Napi::Object codes = Napi::Object::New(env);
  for (int code = 5001; code <= 5050; ++code) {
    if (const char* const name = CuFile::nameOf(code); *name != '\0') codes.Set(static_cast<uint32_t>(code), name);
  }
  return codes;
}

template <typename Names>
Napi::Array namesOf(Napi::Env env, const Names& names) {
  const Napi::Array array = Napi::Array::New(env);
  uint32_t at = 0;
  for (const char* name : names) array.Set(at++, name);
  return array;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  // Shared with the engines: at teardown Node destroys them and this in an order of its own.
  auto* const data = new std::shared_ptr<AddonData>(std::make_shared<AddonData>(env));
  env.SetInstanceData(data);
  env.AddCleanupHook(tearDown, data->get());
  exports.Set("NativeEngine", EngineObject::define(env));
  exports.Set("statNames", namesOf(env, kStatNames));
  exports.Set("stepNames", namesOf(env, kStepNames));
  exports.Set("openDevice", Napi::Function::New(env, openDevice, "openDevice"));
  exports.Set("releaseDevice", Napi::Function::New(env, releaseDevice, "releaseDevice"));
  exports.Set("cufileVersion", Napi::Function::New(env, cufileVersion, "cufileVersion"));
  exports.Set("measureCopies", Napi::Function::New(env, measureCopies, "measureCopies"));
  exports.Set("cufileCodes", cufileCodes(env));
  definePure(env, exports);
  return exports;
}

}  // namespace
}  // namespace kvo

static Napi::Object initialize(Napi::Env env, Napi::Object exports) { return kvo::init(env, exports); }
NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
