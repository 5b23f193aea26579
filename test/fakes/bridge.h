// What the fake cuFile asks of the fake CUDA: the two are libraries of their own, as the real ones are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvo::fake {

struct Bridge {
  enum class Place { kDevice, kHost, kPastEnd, kFreed };
  struct Block {
    Place place;
    int ordinal;
    uint64_t start;
    size_t bytes;
  };

  Block (*locate)(uint64_t address, size_t bytes);
  // False where the device memory is none, or the host memory can't be touched.
  bool (*toDevice)(uint64_t to, const void* from, size_t bytes);
  bool (*fromDevice)(void* to, uint64_t from, size_t bytes);
  int (*deviceCount)();
  // The device of the calling thread's current context, or -1.
  int (*currentDevice)();
  // Called before device or pinned memory is freed.
  void (*onFree)(void (*told)(uint64_t address, size_t bytes));
};

// A symbol of the fake CUDA, which gives this.
using FindBridge = const Bridge*();
inline constexpr const char* kFindBridge = "kvoFakeBridge";

}  // namespace kvo::fake
