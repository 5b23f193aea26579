// A batch of operations under way: the plan as copied at submit, the progress of each operation, and the answer.
//
// A shared_ptr to the batch keeps alive everything its operations touch except the memory of segments and headers, which
// the submitter keeps alive until the batch settles (for ever, where an operation is stuck).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "file_cache.h"
#include "spans.h"
#include "status.h"

namespace kvo {

// The numbers are part of the door.
enum class Kind : uint8_t { kExists = 0, kLoad = 1, kStore = 2, kProbe = 3, kProbeGds = 4 };
enum class Direction : uint8_t { kRead, kWrite };

inline constexpr size_t kHeaderBytes = 4096;
// Direct I/O moves whole units of this size at addresses and offsets that are multiples of it.
inline constexpr size_t kDirectUnit = 4096;

struct Operation {
  // Fixed at submit.
  Kind kind = Kind::kExists;
  bool sync = false;
  bool replace = false;
  bool device = false;         // its segments are device memory
  bool small = false;          // … in segments that one copy each would be too many for
  uint64_t region = 0;         // the one that they all lie in; 0 where there are several
  const char* path = nullptr;  // into Batch::paths
  uint32_t first_span = 0;
  uint32_t last_span = 0;
  size_t bytes = 0;  // payload
  // Blocks of one length each (a paged KV cache), made into spans by the thread that begins the operation.
  uint32_t first_blocks = 0;
  uint32_t last_blocks = 0;
  std::unique_ptr<Span[]> own_spans;
  size_t own_count = 0;
  size_t block_bytes = 0;  // of all of them, 0 where they differ
  uint32_t sum_block = 0;
  uint32_t sum_at = 0;
  size_t first_sum = 0;

  // Set by the thread that begins the operation, before other threads are offered slices.
  size_t slice_bytes = 0;
  uint32_t slices = 0;
  // A store's is its temporary file. Whoever is in a system call on it holds it too, so that a call that hangs and
  // then goes on never finds its descriptor's number given to another file.
  std::shared_ptr<OpenFile> file;
  std::string temporary;  // the store's, by name
  bool direct = false;
  uint16_t header_end = 0;  // a load's: where its header's padding begins
  bool gds = false;         // through cuFile; asked for at submit, taken back where cuFile refuses the file

  // Slices are claimed by whichever thread is free; the one that accounts for the last finishes the operation.
  std::atomic<uint32_t> next_slice{0};
  std::atomic<uint32_t> slices_left{0};
  // The first failure wins, but for being stuck: outcome << 40 | step << 32 | error; 0 while there is none.
  std::atomic<uint64_t> failure{0};

  void fail(Outcome outcome, Status status) {
    uint64_t none = 0;
    failure.compare_exchange_strong(none, pack(outcome, status));
  }
  // Whatever went wrong before, this is what the caller must hear: the memory may still be written to.
  void failStuck(Status status) { failure.store(pack(Outcome::kStuck, status), std::memory_order_release); }
  bool failed() const { return failure.load(std::memory_order_acquire) != 0; }

 private:
  static uint64_t pack(Outcome outcome, Status status) {
    return static_cast<uint64_t>(outcome) << 40 | static_cast<uint64_t>(status.step) << 32 |
           static_cast<uint32_t>(status.error);
  }
};

struct Answer {
  Outcome outcome = Outcome::kDone;
  int64_t code = 0;
  uint64_t bytes = 0;
  Via via = Via::kNothing;
  Step step = Step::kNone;
  uint16_t header_end = 0;
};

struct Batch {
  uint64_t ticket = 0;
  size_t count = 0;
  std::unique_ptr<Operation[]> operations;
  std::vector<Answer> answers;
  std::string paths;  // NUL after each
  std::string sidecar_suffix;
  std::vector<Span> spans;
  // `count` blocks of `bytes` at base + offsets[first …]; with count 0 one span, at base.
  struct Blocks {
    char* base;
    size_t bytes;
    uint32_t first;
    uint32_t count;
  };
  std::vector<Blocks> blocks;
  std::vector<uint64_t> offsets;
  char* headers = nullptr;  // count × kHeaderBytes of the submitter's, or null
  std::vector<uint64_t> sums;

  std::atomic<bool> aborted{false};
  std::atomic<size_t> pending{0};
  std::atomic<bool> stuck{false};  // some operation's memory must never be used again

  char* header(size_t operation) { return headers == nullptr ? nullptr : headers + operation * kHeaderBytes; }
  SpanCursor cursor(const Operation& op, size_t offset, size_t length) const {
    if (op.own_spans == nullptr) return {spans.data() + op.first_span, spans.data() + op.last_span, offset, length};
    // Not a walk from the first one, where they can be counted.
    const size_t skipped = op.block_bytes == 0 ? 0 : offset / op.block_bytes;
    return {op.own_spans.get() + skipped, op.own_spans.get() + op.own_count, offset - skipped * op.block_bytes, length};
  }
  void expandBlocks(Operation& op) const;
};

}  // namespace kvo
