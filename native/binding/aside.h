// Work that would hold up the event loop (opening a device, allocating and registering gigabytes), on one of libuv's
// threads, with a promise for its result.
#pragma once

#include "napi_setup.h"

#include <functional>

namespace kvo {

// `work` runs aside; `result` then, in the environment, makes what the promise resolves to. Neither may throw.
Napi::Value runAside(Napi::Env env, std::function<void()> work, std::function<Napi::Value(Napi::Env)> result);

}  // namespace kvo
