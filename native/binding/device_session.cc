#include "device_session.h"

#include <string>
#include <utility>

#include "../core/copy_speed.h"
#include "aside.h"

namespace kvo {
namespace {

using Holder = std::shared_ptr<DeviceSession>;

Napi::Object failureOf(Napi::Env env, const Failure& why) {
  const Napi::Object failure = Napi::Object::New(env);
  failure.Set("call", why.call);
  failure.Set("code", why.code);
  failure.Set("text", why.text);
  return failure;
}

struct Opening {
  std::string libcuda;
  int index = 0;
  bool wants_gds = false;
  GdsOptions gds;

  Holder session;
  Failure why;
  Failure why_no_gds;

  void open() {
    const std::shared_ptr<Device> device = Device::open(libcuda, index, why);
    if (device == nullptr) return;
    session = std::make_shared<DeviceSession>();
    session->device = device;
    if (!wants_gds) return;
    session->gds = Gds::open(gds, device, why_no_gds);
  }
};

Napi::Object describeGds(Napi::Env env, const Opening& opened) {
  if (opened.session->gds == nullptr) return failureObject(env, opened.why_no_gds);
  const Gds& gds = *opened.session->gds;
  const Napi::Object described = Napi::Object::New(env);
  described.Set("version", gds.cufile.version);
  described.Set("path", gds.cufile.path);
  described.Set("allowsCompat", gds.allows_compat);
  described.Set("maxPinnedBytes", static_cast<double>(gds.max_pinned_bytes));
  described.Set("countsPaths", gds.cufile.stats != nullptr);
  return described;
}

Napi::Value describe(Napi::Env env, const Opening& opened) {
  if (opened.session == nullptr) return failureObject(env, opened.why);
  Device& device = *opened.session->device;
  const Napi::Object described = Napi::Object::New(env);
  described.Set("session", Napi::External<Holder>::New(env, new Holder(opened.session),
                                                       [](Napi::Env, const Holder* holder) { delete holder; }));
  described.Set("name", device.name);
  described.Set("pciBusId", device.pci_bus_id);
  described.Set("memoryBytes", static_cast<double>(device.memory));
  described.Set("driverVersion", device.driver_version);
  described.Set("driverPath", device.cuda.path);
  described.Set("numaNode", device.numa_node);
  described.Set("batchCopy", device.cuda.copyBatch != nullptr);
  if (opened.wants_gds) described.Set("cufile", describeGds(env, opened));
  return described;
}

struct Measuring {
  Holder session;
  size_t bytes = 0;
  size_t runs = 0;

  bool done = false;
  CopySpeed speed;
  Failure why;
};

Napi::Value secondsOf(Napi::Env env, const std::vector<double>& seconds) {
  const Napi::Array array = Napi::Array::New(env, seconds.size());
  for (uint32_t i = 0; i < seconds.size(); ++i) array.Set(i, seconds[i]);
  return array;
}

Napi::Value describe(Napi::Env env, const Measuring& measured) {
  if (!measured.done) return failureObject(env, measured.why);
  const Napi::Object speed = Napi::Object::New(env);
  speed.Set("toDevice", secondsOf(env, measured.speed.to_device));
  speed.Set("toHost", secondsOf(env, measured.speed.to_host));
  return speed;
}

}  // namespace

Napi::Object failureObject(Napi::Env env, const Failure& why) {
  const Napi::Object answer = Napi::Object::New(env);
  answer.Set("failure", failureOf(env, why));
  return answer;
}

Napi::Value openDevice(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  auto opening = std::make_shared<Opening>();
  opening->index = options.Get("index").As<Napi::Number>().Int32Value();
  opening->libcuda = options.Get("libcuda").As<Napi::String>().Utf8Value();
  const Napi::Value cufile = options.Get("cufile");
  if (cufile.IsObject()) {
    const auto wanted = cufile.As<Napi::Object>();
    opening->wants_gds = true;
    opening->gds.library = wanted.Get("library").As<Napi::String>().Utf8Value();
    opening->gds.log = wanted.Get("log").As<Napi::String>().Utf8Value();
    opening->gds.timeout = std::chrono::milliseconds(wanted.Get("timeoutMs").As<Napi::Number>().Int64Value());
    opening->gds.configuration = wanted.Get("configuration").As<Napi::String>().Utf8Value();
  }
  return runAside(
      info.Env(), [opening] { opening->open(); }, [opening](Napi::Env env) { return describe(env, *opening); });
}

Napi::Value cufileVersion(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Failure why{"dlopen", 0, ""};
  const std::shared_ptr<const CuFile> cufile = CuFile::load(info[0].As<Napi::String>().Utf8Value(), why.text);
  if (cufile == nullptr) return failureObject(env, why);
  const Napi::Object answer = Napi::Object::New(env);
  answer.Set("version", cufile->version);
  answer.Set("path", cufile->path);
  return answer;
}

Napi::Value releaseDevice(const Napi::CallbackInfo& info) {
  info[0].As<Napi::External<Holder>>().Data()->reset();
  return info.Env().Undefined();
}

Napi::Value measureCopies(const Napi::CallbackInfo& info) {
  auto measuring = std::make_shared<Measuring>();
  measuring->session = sessionOf(info[0]);
  measuring->bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  measuring->runs = static_cast<size_t>(info[2].As<Napi::Number>().Int64Value());
  const auto work = [measuring] {
    Measuring& all = *measuring;
    all.done = measureCopies(*all.session->device, all.bytes, all.runs, all.speed, all.why);
  };
  return runAside(info.Env(), work, [measuring](Napi::Env env) { return describe(env, *measuring); });
}

std::shared_ptr<DeviceSession> sessionOf(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  return *value.As<Napi::External<Holder>>().Data();
}

}  // namespace kvo
