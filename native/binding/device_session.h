// A GPU as JavaScript holds it, between opening it and giving it to engines.
#pragma once

#include "napi_setup.h"

#include <memory>

#include "../core/device.h"
#include "../core/gds.h"

namespace kvo {

struct DeviceSession {
  std::shared_ptr<Device> device;
  std::shared_ptr<Gds> gds;  // null where cuFile was not asked for, or can't be had
};

// openDevice(options): a promise of the session's description, or of { failure }.
Napi::Value openDevice(const Napi::CallbackInfo& info);
// releaseDevice(session): engines keep what they were given; others can no longer be given it.
Napi::Value releaseDevice(const Napi::CallbackInfo& info);
// cufileVersion(path): { version, path } or { failure }, without opening its driver.
Napi::Value cufileVersion(const Napi::CallbackInfo& info);
// measureCopies(session, bytes, runs): a promise of { toDevice, toHost }, seconds each, or of { failure }.
Napi::Value measureCopies(const Napi::CallbackInfo& info);

// The session in `value`, or null where that is undefined.
std::shared_ptr<DeviceSession> sessionOf(const Napi::Value& value);

// { failure: { call, code, text } }
Napi::Object failureObject(Napi::Env env, const Failure& why);

}  // namespace kvo
