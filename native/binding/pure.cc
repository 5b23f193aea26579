// The pure part of the door: functions of their arguments alone.
#include <algorithm>
#include <string>

#include "../core/python_hash.h"
#include "../core/sums.h"
#include "../core/xxh_chain.h"
#include "addon.h"
#include "arguments.h"

namespace kvo {
namespace {

// A chain's arguments but for the hash before it, in their order at the door.
struct ChainArguments {
  explicit ChainArguments(const Napi::CallbackInfo& info)
      : tokens(info[2].As<Napi::TypedArray>()),
        bytes(bytesOf(tokens)),
        count(tokens.ElementLength()),
        chunk(static_cast<size_t>(info[3].As<Napi::Number>().Int64Value())),
        tail(info[4].As<Napi::Boolean>().Value()),
        extra(info[5].As<Napi::String>().Utf8Value() == "none" ? Extra::kNone : Extra::kEmpty) {
    if (chunk == 0) throw Napi::RangeError::New(info.Env(), "hashChain: chunkSize is 0");
  }

  size_t length() const { return chainLength(count, chunk, tail); }

  // Calls `use` with the tokens as they are: uint32_t or double.
  template <typename Use>
  void withTokens(Use use) const {
    if (tokens.TypedArrayType() == napi_uint32_array) use(reinterpret_cast<const uint32_t*>(bytes.data));
    else use(reinterpret_cast<const double*>(bytes.data));
  }

  Napi::TypedArray tokens;
  Span bytes;
  size_t count;
  size_t chunk;
  bool tail;
  Extra extra;
};

Napi::Value builtinChain(const Napi::CallbackInfo& info) {
  const ChainArguments chain(info);
  bool lossless = false;
  const int64_t none = info[1].As<Napi::BigInt>().Int64Value(&lossless);
  Napi::BigInt64Array hashes = Napi::BigInt64Array::New(info.Env(), chain.length());
  chain.withTokens([&](const auto* tokens) {
    pythonHashChain(none, tokens, chain.count, chain.chunk, chain.tail, hashes.Data(), chain.extra);
  });
  return hashes;
}

Napi::Value digestChain(const Napi::CallbackInfo& info, TupleSpelling spelling) {
  const ChainArguments chain(info);
  const auto keep = static_cast<size_t>(info[6].As<Napi::Number>().Int64Value());
  if (keep != sizeof(uint64_t) && keep != kXxhDigestBytes) {
    throw Napi::RangeError::New(info.Env(), "hashChain: keep is neither 8 nor 16");
  }
  Link none;
  if (info[1].IsBigInt()) {
    bool lossless = false;
    none.number = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  } else {
    const Span bytes = bytesOf(info[1]);
    if (bytes.bytes > kXxhDigestBytes) throw Napi::RangeError::New(info.Env(), "hashChain: noneHash is too long");
    none = {.bytes = reinterpret_cast<const uint8_t*>(bytes.data), .length = bytes.bytes};
  }
  Napi::Uint8Array digests = Napi::Uint8Array::New(info.Env(), chain.length() * keep);
  chain.withTokens([&](const auto* tokens) {
    xxhChain(spelling, none, chain.extra, tokens, chain.count, chain.chunk, chain.tail, keep, digests.Data());
  });
  return digests;
}

Napi::Value hashChain(const Napi::CallbackInfo& info) {
  const std::string algorithm = info[0].As<Napi::String>().Utf8Value();
  if (algorithm == "builtin") return builtinChain(info);
  if (algorithm == "xxhash") return digestChain(info, TupleSpelling::kPickle);
  if (algorithm == "xxhash_cbor") return digestChain(info, TupleSpelling::kCbor);
  throw Napi::RangeError::New(info.Env(), "hashChain: no native hash of that name");
}

Napi::Value xxh128(const Napi::CallbackInfo& info) {
  const Span bytes = bytesOf(info[0]);
  const XxhDigest digest = xxhDigest(reinterpret_cast<const uint8_t*>(bytes.data), bytes.bytes);
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), digest.size());
  std::copy(digest.begin(), digest.end(), out.Data());
  return out;
}

Napi::Value pythonStringHash(const Napi::CallbackInfo& info) {
  const Span text = bytesOf(info[0]);
  const auto seed = info[1].As<Napi::Number>().Uint32Value();
  const SipRounds rounds = info[2].As<Napi::String>().Utf8Value() == "2-4" ? SipRounds::k24 : SipRounds::k13;
  return Napi::BigInt::New(info.Env(),
                           pythonAsciiHash(reinterpret_cast<const uint8_t*>(text.data), text.bytes, seed, rounds));
}

Napi::Value blockSums(const Napi::CallbackInfo& info) {
  const Span bytes = bytesOf(info[0]);
  const auto block = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  Napi::BigUint64Array sums = Napi::BigUint64Array::New(info.Env(), blockCount(bytes.bytes, block));
  for (size_t at = 0; at < sums.ElementLength(); ++at) {
    sums[at] = sumOf(SpanCursor(&bytes, &bytes + 1, at * block, std::min(block, bytes.bytes - at * block)));
  }
  return sums;
}

Napi::Value bytesToBoundary(const Napi::CallbackInfo& info) {
  const auto address = reinterpret_cast<uintptr_t>(bytesOf(info[0]).data);
  const auto boundary = static_cast<uintptr_t>(info[1].As<Napi::Number>().Int64Value());
  return Napi::Number::New(info.Env(), static_cast<double>((boundary - address % boundary) % boundary));
}

}  // namespace

void definePure(Napi::Env env, Napi::Object exports) {
  exports.Set("hashChain", Napi::Function::New(env, hashChain, "hashChain"));
  exports.Set("xxh128", Napi::Function::New(env, xxh128, "xxh128"));
  exports.Set("pythonStringHash", Napi::Function::New(env, pythonStringHash, "pythonStringHash"));
  exports.Set("bytesToBoundary", Napi::Function::New(env, bytesToBoundary, "bytesToBoundary"));
  exports.Set("blockSums", Napi::Function::New(env, blockSums, "blockSums"));
}

}  // namespace kvo
