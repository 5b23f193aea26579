#include "arguments.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_set>

#include "../core/sums.h"

namespace kvo {
namespace {

constexpr uint64_t kOwnMemory = uint64_t{1} << 32;

[[noreturn]] void refuse(Napi::Env env, const std::string& why) { throw Napi::RangeError::New(env, "plan: " + why); }

template <typename Element>
const Element* elements(const Napi::Object& plan, const char* name, size_t& count) {
  const Span bytes = bytesOf(plan.Get(name));
  count = bytes.bytes / sizeof(Element);
  return reinterpret_cast<const Element*>(bytes.data);
}

struct Memory {
  std::vector<Span> own;
  const Regions& regions;
  std::unordered_set<uint64_t> named;

  Span resolve(uint64_t region, uint64_t offset, uint64_t length) {
    if (region < kOwnMemory) {
      named.insert(region);
      return regions.resolve(region, offset, length);
    }
    const uint64_t index = region - kOwnMemory;
    if (index >= own.size() || offset > own[index].bytes || length > own[index].bytes - offset) return {};
    return {own[index].data + offset, static_cast<size_t>(length)};
  }
};

void splitPaths(Napi::Env env, Batch& batch) {
  size_t at = 0;
  for (size_t index = 0; index < batch.count; ++index) {
    if (at >= batch.paths.size()) refuse(env, "fewer paths than operations");
    batch.operations[index].path = batch.paths.c_str() + at;
    at = batch.paths.find('\0', at);
    at = at == std::string::npos ? batch.paths.size() : at + 1;
  }
}

}  // namespace

Span bytesOf(const Napi::Value& view) {
  const Napi::Env env = view.Env();
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, view, &type, &length, &data, nullptr, nullptr) != napi_ok) {
    throw Napi::TypeError::New(env, "plan: a typed array is expected");
  }
  size_t width = 1;
  if (type == napi_uint32_array) width = sizeof(uint32_t);
  if (type == napi_bigint64_array || type == napi_biguint64_array || type == napi_float64_array) width = 8;
  return {static_cast<char*>(data), length * width};
}

ReadPlan readPlan(Napi::Env env, const Napi::Object& plan, const Regions& regions) {
  auto batch = std::make_shared<Batch>();
  size_t count = 0;
  const auto* kinds = elements<uint8_t>(plan, "kinds", count);
  batch->count = count;
  batch->operations = std::make_unique<Operation[]>(count);
  batch->answers.resize(count);
  batch->paths = plan.Get("paths").As<Napi::String>().Utf8Value();
  batch->sidecar_suffix = plan.Get("sidecarSuffix").As<Napi::String>().Utf8Value();
  splitPaths(env, *batch);

  size_t n = 0;
  const auto* flags = elements<uint8_t>(plan, "flags", n);
  if (n != count) refuse(env, "flags do not fit the operations");
  const auto* sum_block = elements<uint32_t>(plan, "sumBlock", n);
  if (n != count) refuse(env, "sumBlock does not fit the operations");
  const auto* sum_at = elements<uint32_t>(plan, "sumAt", n);
  if (n != count) refuse(env, "sumAt does not fit the operations");
  const auto* segment_start = elements<uint32_t>(plan, "segmentStart", n);
  if (n != count + 1) refuse(env, "segmentStart does not fit the operations");
  size_t words = 0;
  const auto* segments = elements<uint64_t>(plan, "segments", words);

  ReadPlan read{nullptr, {}, plan.Get("memory").As<Napi::Object>()};
  Memory memory{{}, regions, {}};
  const auto own = read.memory.As<Napi::Array>();
  for (uint32_t index = 0; index < own.Length(); ++index) memory.own.push_back(bytesOf(own.Get(index)));
  if (memory.own.empty()) read.memory = Napi::Object();

  bool moves = false;
  size_t sums = 0;
  for (size_t index = 0; index < count; ++index) {
    Operation& op = batch->operations[index];
    if (kinds[index] > static_cast<uint8_t>(Kind::kProbe)) refuse(env, "an unknown kind");
    op.kind = static_cast<Kind>(kinds[index]);
    op.sync = (flags[index] & 1) != 0;
    op.replace = (flags[index] & 2) != 0;
    op.first_span = static_cast<uint32_t>(batch->spans.size());
    if (segment_start[index] > segment_start[index + 1] || segment_start[index + 1] > words / 3) {
      refuse(env, "segmentStart out of bounds");
    }
    for (size_t at = segment_start[index]; at < segment_start[index + 1]; ++at) {
      const uint64_t* segment = segments + at * 3;
      const Span span = memory.resolve(segment[0], segment[1], segment[2]);
      if (span.bytes != segment[2]) refuse(env, "a segment outside its region");
      if (span.bytes == 0) continue;
      batch->spans.push_back(span);
      op.bytes += span.bytes;
    }
    op.last_span = static_cast<uint32_t>(batch->spans.size());
    op.sum_block = sum_block[index];
    op.sum_at = sum_at[index];
    op.first_sum = sums;
    const size_t blocks = blockCount(op.bytes, op.sum_block);
    sums += blocks;
    if (op.kind == Kind::kStore && (op.sum_at > kHeaderBytes || blocks * 16 > kHeaderBytes - op.sum_at)) {
      refuse(env, "sums do not fit the header");
    }
    moves = moves || op.kind == Kind::kLoad || op.kind == Kind::kStore;
  }
  batch->sums.resize(sums);
  if (moves) {
    const Span given = bytesOf(plan.Get("headers"));
    batch->headers.resize(count * kHeaderBytes);
    if (given.bytes != 0 && given.bytes != batch->headers.size()) refuse(env, "headers do not fit the operations");
    if (given.bytes != 0) std::memcpy(batch->headers.data(), given.data, given.bytes);
  }
  read.regions.assign(memory.named.begin(), memory.named.end());
  read.batch = std::move(batch);
  return read;
}

}  // namespace kvo
