// Reads a plan as JavaScript hands it in. Types are trusted (src/transfer.ts makes them), bounds are checked.
#pragma once

#include "napi_setup.h"

#include <memory>
#include <vector>

#include "../core/batch.h"
#include "../core/regions.h"

namespace kvo {

struct ReadPlan {
  std::shared_ptr<Batch> batch;
  std::vector<uint64_t> regions;  // those the batch names, once each
  Napi::Object memory;            // the plan's own memory, to be kept alive; empty when there is none
  Napi::Object headers;           // likewise
};

// Throws Napi::Error with what is wrong.
ReadPlan readPlan(Napi::Env env, const Napi::Object& plan, const Regions& regions);

// Address and length of a Uint8Array, over a SharedArrayBuffer too.
Span bytesOf(const Napi::Value& view);

}  // namespace kvo
