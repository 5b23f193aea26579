#include "driver.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "counters.h"
#include "report.h"

namespace kvo::fake {

Driver& driver() {
  // Never destroyed: streams' threads live until the process ends.
  static Driver& only = *new Driver();
  return only;
}

ContextStack& contextStack() {
  KVO_FAKE_THREAD_LOCAL ContextStack stack{};
  return stack;
}

Context* currentContext() {
  const ContextStack& stack = contextStack();
  return stack.depth == 0 ? nullptr : stack.at[stack.depth - 1];
}

bool isNullStream(CudaStream handle) {
  // 1 and 2: the driver's own names for the legacy null stream and a thread's.
  return reinterpret_cast<uintptr_t>(handle) <= 2;
}

int driverVersion() { return static_cast<int>(setting("KVO_FAKE_DRIVER_VERSION", 12080)); }

Driver::Driver() {
  const long long devices = setting("KVO_FAKE_DEVICES", 1);
  for (int ordinal = 0; ordinal < devices; ++ordinal) {
    auto context = std::make_unique<Context>();
    context->ordinal = ordinal;
    context->null_stream = newStream(*context, true);
    contexts.push_back(std::move(context));
  }
  memory.onFree([this](CudaAddress address, size_t bytes, const char* what) { freeing(address, bytes, what); });
}

std::shared_ptr<Stream> Driver::newStream(Context& context, bool is_blocking) {
  auto stream = std::make_shared<Stream>(memory, context.health, is_blocking);
  const std::lock_guard lock(mutex_);
  made_.erase(std::remove_if(made_.begin(), made_.end(), [](const auto& one) { return one.expired(); }), made_.end());
  made_.push_back(stream);
  return stream;
}

std::shared_ptr<StreamOf> Driver::streamOf(CudaStream handle) {
  if (!isNullStream(handle)) return streams.find(handle);
  Context* const context = currentContext();
  return std::make_shared<StreamOf>(StreamOf{context->null_stream, context});
}

std::vector<std::shared_ptr<Stream>> Driver::made() {
  std::vector<std::shared_ptr<Stream>> all;
  const std::lock_guard lock(mutex_);
  for (const auto& weak : made_) {
    if (auto stream = weak.lock()) all.push_back(std::move(stream));
  }
  return all;
}

void Driver::order(Context& context, Stream& stream) {
  const bool is_null = &stream == context.null_stream.get();
  if (!is_null && stream.is_blocking && !context.null_stream->isIdle()) stream.waitFor(context.null_stream->record());
  if (!is_null) return;
  for (const auto& other : made()) {
    if (other.get() != &stream && other->is_blocking && other->isOf(context.health) && !other->isIdle())
      stream.waitFor(other->record());
  }
}

void Driver::drain(Context& context, bool blocking_only) {
  for (const auto& stream : made()) {
    if (stream->isOf(context.health) && (stream->is_blocking || !blocking_only)) stream->drain();
  }
}

void Driver::empty(Context& context) {
  drain(context);
  const auto end = [&](auto& handles, Counter counter, auto also) {
    for (const auto& one : handles.all()) {
      if (one.second->context != &context || !handles.take(one.first)) continue;
      count(counter, -1);
      also(*one.second);
    }
  };
  end(streams, Counter::kStreams, [](const StreamOf& of) { of.stream->close(); });
  end(events, Counter::kEvents, [](const EventOf&) {});
  end(modules, Counter::kModules, [](const ModuleOf&) {});
  memory.freeAll(context.ordinal);
  context.health.recover();
}

void Driver::lend() {
  const char* const text = std::getenv("KVO_FAKE_LENT");
  if (text == nullptr || contexts.empty()) return;
  Context& context = *contexts[0];
  if (context.retained.fetch_add(1) == 0) count(Counter::kContexts);
  const std::string list = text;
  for (size_t from = 0; from < list.size();) {
    const size_t to = std::min(list.find(',', from), list.size());
    CudaAddress address = 0;
    if (memory.allocate(0, std::strtoull(list.c_str() + from, nullptr, 10), address, "lent") != kCudaSuccess)
      misused("KVO_FAKE_LENT: " + list);
    from = to + 1;
  }
}

void Driver::freeing(CudaAddress address, size_t bytes, const char* what) {
  for (const auto& stream : made()) {
    if (!stream->uses(address, bytes)) continue;
    violation(std::string(what) + " freed while a stream has work with it: " + rangeText(address, bytes));
    stream->drain();
  }
  if (const auto told = on_free.load()) told(address, bytes);
}

}  // namespace kvo::fake
