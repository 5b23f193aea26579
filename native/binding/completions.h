// Brings settled batches from the pool's threads to JavaScript: one queue an environment, and one wake-up for all
// that has settled meanwhile.
//
// Threads: put() from any thread; everything else on the environment's own. The event loop is kept alive only while
// something is outstanding.
#pragma once

#include "napi_setup.h"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace kvo {

class Completions {
 public:
  // Runs in the environment with a handle scope open; env is never null.
  using Settle = std::function<void(Napi::Env)>;

  explicit Completions(Napi::Env env);
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  // Announces that one put() will follow.
  void expect(Napi::Env env);
  void put(Settle settle);
  // What is put from now on is dropped. Called once all engines have closed.
  void release();

 private:
  static void drain(Napi::Env env, Napi::Function, Completions* self, void*);
  using Function = Napi::TypedThreadSafeFunction<Completions, void, &Completions::drain>;

  Function function_;
  size_t outstanding_ = 0;
  std::mutex mutex_;
  std::vector<Settle> settled_;
  bool released_ = false;
};

// Settles without throwing: at teardown the calls fail, and that is all right.
void resolve(Napi::Env env, napi_deferred deferred, napi_value value);

}  // namespace kvo
