// How fast the GPU's link is: the ceiling of whatever moves bytes through host memory.
//
//   CopySpeed speed;
//   Failure why;
//   if (!measureCopies(*device, 256 << 20, 5, speed, why)) …   // `why` says at which call, and what
//
// Any thread; takes `bytes` of pinned host memory and as many of device memory while it runs.
#pragma once

#include <cstddef>
#include <vector>

#include "device.h"

namespace kvo {

struct CopySpeed {
  // Seconds a copy of all bytes, one a run.
  std::vector<double> to_device;
  std::vector<double> to_host;
};

bool measureCopies(const Device& device, size_t bytes, size_t runs, CopySpeed& speed, Failure& why);

}  // namespace kvo
