#include "aside.h"

#include <utility>

#include "completions.h"

namespace kvo {
namespace {

class Aside final : public Napi::AsyncWorker {
 public:
  Aside(Napi::Env env, napi_deferred deferred, std::function<void()> work, std::function<Napi::Value(Napi::Env)> result)
      : Napi::AsyncWorker(env, "kv-offload"), deferred_(deferred), work_(std::move(work)), result_(std::move(result)) {}

  void Execute() override { work_(); }
  void OnOK() override { resolve(Env(), deferred_, result_(Env())); }

 private:
  const napi_deferred deferred_;
  const std::function<void()> work_;
  const std::function<Napi::Value(Napi::Env)> result_;
};

}  // namespace

Napi::Value runAside(Napi::Env env, std::function<void()> work, std::function<Napi::Value(Napi::Env)> result) {
  napi_deferred deferred = nullptr;
  napi_value done = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_create_promise(env, &deferred, &done), Napi::Value());
  (new Aside(env, deferred, std::move(work), std::move(result)))->Queue();
  return Napi::Value(env, done);
}

}  // namespace kvo
