#include "completions.h"

#include <utility>

namespace kvo {

Completions::Completions(Napi::Env env)
    : function_(Function::New(env, "kv-offload completions", 0 /* unbounded */, 1, this)) {
  function_.Unref(env);
}

void Completions::expect(Napi::Env env) {
  if (outstanding_++ == 0) function_.Ref(env);
}

void Completions::put(Settle settle) {
  const std::lock_guard lock(mutex_);
  if (released_) return;
  settled_.push_back(std::move(settle));
  // A wake-up is under way for the ones before.
  if (settled_.size() == 1) (void)function_.NonBlockingCall();
}

void Completions::release() {
  const std::lock_guard lock(mutex_);
  if (released_) return;
  released_ = true;
  settled_.clear();
  (void)function_.Release();
}

void Completions::drain(Napi::Env env, Napi::Function, Completions* self, void*) {
  // Null while the environment is torn down.
  if (env == nullptr || self == nullptr) return;
  std::vector<Settle> settled;
  {
    const std::lock_guard lock(self->mutex_);
    settled.swap(self->settled_);
  }
  const Napi::HandleScope scope(env);
  for (const Settle& settle : settled) settle(env);
  self->outstanding_ -= settled.size();
  if (self->outstanding_ == 0) self->function_.Unref(env);
}

void resolve(Napi::Env env, napi_deferred deferred, napi_value value) {
  (void)napi_resolve_deferred(env, deferred, value);
}

}  // namespace kvo
