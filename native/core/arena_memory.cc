#include "arena_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace kvo {

ArenaMemory::ArenaMemory(char* start, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t before = (page - reinterpret_cast<uintptr_t>(start) % page) % page;
  if (bytes < before + page) return;
  start_ = start + before;
  bytes_ = (bytes - before) / page * page;
  (void)madvise(start_, bytes_, MADV_DONTFORK);
  (void)madvise(start_, bytes_, MADV_HUGEPAGE);
}

ArenaMemory::~ArenaMemory() {
  // Whoever gets these pages next, children of fork may need them: an allocator need not return them to the kernel.
  if (bytes_ > 0) (void)madvise(start_, bytes_, MADV_DOFORK);
}

}  // namespace kvo
