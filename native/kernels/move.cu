// Copies between device memory in many small pieces: the gather and scatter of a paged KV cache.
//
// Launched as 32 blocks of 512 threads. A job is at most 8 KiB, cut so by the host, and of any alignment; jobs do not
// overlap. `jobs` lies in pinned host memory: a warp reads up to 32 of its own at once, since each such read takes
// about as long as a job.
//
// Change it and run scripts/make-ptx.py: the addon loads native/kernels/move_ptx.h, not this file.

struct Job {
  unsigned long long from;
  unsigned long long to;
  unsigned long long bytes;
};

// Not constants: the compiler would put those into device memory.
enum : unsigned { kWarp = 32, kAll = 0xffffffffU };

// By one warp. All loads of a round come before its stores, so that they are in flight together.
template <typename Word>
__device__ __forceinline__ void moveWords(const Job& job, unsigned lane) {
  constexpr unsigned kInFlight = 8;
  const Word* const from = reinterpret_cast<const Word*>(job.from);
  Word* const to = reinterpret_cast<Word*>(job.to);
  const unsigned count = static_cast<unsigned>(job.bytes / sizeof(Word));
  for (unsigned first = lane; first < count; first += kWarp * kInFlight) {
    Word words[kInFlight];
#pragma unroll
    for (unsigned k = 0; k < kInFlight; ++k) {
      if (first + k * kWarp < count) words[k] = from[first + k * kWarp];
    }
#pragma unroll
    for (unsigned k = 0; k < kInFlight; ++k) {
      if (first + k * kWarp < count) to[first + k * kWarp] = words[k];
    }
  }
}

extern "C" __global__ void __launch_bounds__(512) kvo_move(const Job* jobs, unsigned count) {
  const unsigned lane = threadIdx.x % kWarp;
  const unsigned warp = (blockIdx.x * blockDim.x + threadIdx.x) / kWarp;
  const unsigned warps = gridDim.x * blockDim.x / kWarp;
  // This warp's share: neighbours in the list, and as many as any other's but for one.
  const unsigned end = static_cast<unsigned>(static_cast<unsigned long long>(count) * (warp + 1) / warps);
  unsigned next = static_cast<unsigned>(static_cast<unsigned long long>(count) * warp / warps);
  while (next < end) {
    const unsigned held = end - next < kWarp ? end - next : kWarp;
    Job mine = {0, 0, 0};
    if (lane < held) mine = jobs[next + lane];
    for (unsigned k = 0; k < held; ++k) {
      Job job;
      job.from = __shfl_sync(kAll, mine.from, k);
      job.to = __shfl_sync(kAll, mine.to, k);
      job.bytes = __shfl_sync(kAll, mine.bytes, k);
      const unsigned odd = static_cast<unsigned>(job.from | job.to | job.bytes);
      if (odd % sizeof(uint4) == 0) moveWords<uint4>(job, lane);
      else if (odd % sizeof(unsigned) == 0) moveWords<unsigned>(job, lane);
      else moveWords<unsigned char>(job, lane);
    }
    next += held;
  }
}
