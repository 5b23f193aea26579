#include "arguments.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_set>

#include "../core/lane.h"
#include "../core/sums.h"

namespace kvo {
namespace {

constexpr uint64_t kOwnMemory = uint64_t{1} << 32;
// A segment of many blocks: the bit beside its region.
constexpr uint64_t kBlocks = uint64_t{1} << 33;

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

  Span whole(uint64_t region) {
    if (region >= kOwnMemory) return {};
    named.insert(region);
    return regions.whole(region);
  }

  bool isDevice(uint64_t region) const { return region < kOwnMemory && regions.isDevice(region); }

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

// A segment's blocks, checked all of them; returns how many bytes they have.
size_t readBlocks(Napi::Env env, Memory& memory, Batch& batch, const uint64_t* segment) {
  const uint64_t region = segment[0] & ~kBlocks;
  const uint64_t first = segment[1] & 0xffffffff;
  const uint64_t count = segment[1] >> 32;
  const uint64_t bytes = segment[2];
  const Span whole = memory.whole(region);
  if (count == 0 || bytes == 0 || first + count > batch.offsets.size()) refuse(env, "blocks out of bounds");
  const auto* const offsets = batch.offsets.data() + first;
  const uint64_t furthest = *std::max_element(offsets, offsets + count);
  if (bytes > whole.bytes || furthest > whole.bytes - bytes) refuse(env, "a block outside its region");
  batch.blocks.push_back({whole.data, bytes, static_cast<uint32_t>(first), static_cast<uint32_t>(count)});
  return bytes * count;
}

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
  const auto* offsets = elements<uint64_t>(plan, "blockOffsets", n);
  batch->offsets.assign(offsets, offsets + n);

  ReadPlan read{nullptr, {}, plan.Get("memory").As<Napi::Object>()};
  Memory memory{{}, regions, {}};
  const auto own = read.memory.As<Napi::Array>();
  for (uint32_t index = 0; index < own.Length(); ++index) memory.own.push_back(bytesOf(own.Get(index)));
  if (memory.own.empty()) read.memory = Napi::Object();

  bool moves = false;
  size_t sums = 0;
  for (size_t index = 0; index < count; ++index) {
    Operation& op = batch->operations[index];
    if (kinds[index] > static_cast<uint8_t>(Kind::kProbeGds)) refuse(env, "an unknown kind");
    op.kind = static_cast<Kind>(kinds[index]);
    op.sync = (flags[index] & 1) != 0;
    op.replace = (flags[index] & 2) != 0;
    op.first_span = static_cast<uint32_t>(batch->spans.size());
    if (segment_start[index] > segment_start[index + 1] || segment_start[index + 1] > words / 3) {
      refuse(env, "segmentStart out of bounds");
    }
    // With blocks among them, all segments of an operation are made into spans later.
    bool has_blocks = false;
    for (size_t at = segment_start[index]; at < segment_start[index + 1]; ++at) {
      has_blocks = has_blocks || (segments[at * 3] & kBlocks) != 0;
    }
    op.first_blocks = static_cast<uint32_t>(batch->blocks.size());
    for (size_t at = segment_start[index]; at < segment_start[index + 1]; ++at) {
      const uint64_t* segment = segments + at * 3;
      const bool device = memory.isDevice(segment[0] & ~kBlocks);
      if (op.bytes > 0 && device != op.device) refuse(env, "an operation of both host and device memory");
      op.device = device;
      const uint64_t region = segment[0] & ~kBlocks;
      op.region = at == segment_start[index] || op.region == region ? region : 0;
      if ((segment[0] & kBlocks) != 0) {
        op.bytes += readBlocks(env, memory, *batch, segment);
        continue;
      }
      const Span span = memory.resolve(segment[0], segment[1], segment[2]);
      if (span.bytes != segment[2]) refuse(env, "a segment outside its region");
      if (span.bytes == 0) continue;
      if (has_blocks) batch->blocks.push_back({span.data, span.bytes, 0, 0});
      else batch->spans.push_back(span);
      op.bytes += span.bytes;
    }
    op.last_span = static_cast<uint32_t>(batch->spans.size());
    op.gds = op.device && (flags[index] & 4) != 0;
    op.last_blocks = static_cast<uint32_t>(batch->blocks.size());
    size_t parts = op.last_span - op.first_span;
    for (size_t at = op.first_blocks; at < op.last_blocks; ++at) parts += std::max(batch->blocks[at].count, 1U);
    op.small = op.device && parts > 1 && op.bytes / kLeastDirectSegment < parts;
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
    if (given.bytes != count * kHeaderBytes) refuse(env, "headers do not fit the operations");
    batch->headers = given.data;
    read.headers = plan.Get("headers").As<Napi::Object>();
  }
  read.regions.assign(memory.named.begin(), memory.named.end());
  read.batch = std::move(batch);
  return read;
}

}  // namespace kvo
