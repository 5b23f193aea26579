// Host memory that an engine moves bytes through for its whole life, as the kernel is told to treat it.
#pragma once

#include <cstddef>

namespace kvo {

// Its whole pages, until this is gone:
//   MADV_DONTFORK  Children do not inherit them. Otherwise fork, which Node starts every child process with, makes all of
//                  them copy-on-write, and the next bytes into each page cost a fault: half the speed of a retrieve.
//   MADV_HUGEPAGE  Huge pages where the kernel gives them on request only.
// Advice alone: where the kernel refuses, memory stays as it is. The memory must be there until this is gone.
class ArenaMemory {
 public:
  ArenaMemory(char* start, size_t bytes);
  ~ArenaMemory();
  ArenaMemory(const ArenaMemory&) = delete;
  ArenaMemory& operator=(const ArenaMemory&) = delete;

 private:
  char* start_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace kvo
