// What a run is told: `load DIR files=128 bytes=33554432 threads=16 …`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace plain {

// How a thread waits for a slice's copies: in cuEventSynchronize, spinning or asleep, or asking every `nap` µs.
enum class Wait { kSpin, kBlock, kNap };
// none: no copies, what the files alone cost. each: one copy a file. batch: one call a slice.
enum class Copy { kNone, kEach, kBatch };
// How scattered memory is reached: one batch copy, through device staging and a kernel, or by a kernel that reads or
// writes pinned memory.
enum class Reach { kBatch, kStaging, kDirect };
// Through pinned memory and copies, or by cuFile.
enum class Via { kCopies, kCufile };

struct Options {
  std::string directory;
  size_t files = 0;
  size_t depth = 0;  // files a call: all threads wait for the last of them; 0: all files in one
  size_t bytes = 0;  // payload a file; 4096 more stand before it
  size_t threads = 8;
  size_t slices = 2;
  size_t slice = size_t{4} << 20;
  size_t streams = 1;  // a thread
  size_t segment = 0;  // 0: a file's target is one piece
  size_t folders = 64;
  size_t blocks = 32;  // of the kernel
  unsigned nap = 30;
  Wait wait = Wait::kNap;
  Copy copy = Copy::kBatch;
  Reach reach = Reach::kBatch;
  Via via = Via::kCopies;
  bool direct = false;  // cuFile's files are opened with O_DIRECT
  bool check = false;

  size_t total() const { return files * bytes; }
  size_t perCall() const { return depth == 0 ? files : depth; }
  // Bytes of one entry of a batch, or of one job of the kernel, which takes 8 KiB at most.
  size_t piece() const {
    if (segment == 0) return slice;
    return reach == Reach::kBatch ? segment : std::min(segment, size_t{8192});
  }

  // From the words after the command. Returns what is wrong with them, or "".
  std::string parse(const std::string& words);
};

}  // namespace plain
