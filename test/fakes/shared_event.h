// Events that processes share: counts of what was recorded and of what is done, in a memfd that the other process opens
// by its path, as memory.h does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "shim/cuda.h"
#include "stream.h"

namespace kvo::fake {

// What an event is made with that is to be shared, and how its handle is asked for: the library itself shares none.
inline constexpr unsigned kEventInterprocess = 4;
using GetEventHandle = CudaResult(CudaIpcHandle* handle, CudaEvent event);

class SharedEvent : public std::enable_shared_from_this<SharedEvent> {
 public:
  // Null where there is no room.
  static std::shared_ptr<SharedEvent> make();
  // Null where the handle is of no event of another process.
  static std::shared_ptr<SharedEvent> open(const CudaIpcHandle& handle);
  ~SharedEvent();
  SharedEvent(const SharedEvent&) = delete;
  SharedEvent& operator=(const SharedEvent&) = delete;

  CudaIpcHandle handle() const;
  // Its owner records it on a stream.
  void record(Stream& stream);
  // What was recorded last, whoever did; done at once where nothing was.
  std::shared_ptr<Recording> last();

  struct Counts {
    std::atomic<uint64_t> recorded;
    std::atomic<uint64_t> done;
  };

 private:
  SharedEvent(int fd, Counts& counts) : fd_(fd), counts_(counts) {}
  static std::shared_ptr<SharedEvent> map(int fd);

  const int fd_;
  Counts& counts_;
};

}  // namespace kvo::fake
