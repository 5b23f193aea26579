// A thread's aligned buffer for what direct I/O can't move in place: unaligned memory, tails, headers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace kvo {

class Bounce {
 public:
  static constexpr size_t kBytes = size_t{1} << 20;

  // Null when there is no memory. Allocated at first use, since most threads never need it.
  char* data() {
    if (!buffer_) buffer_.reset(static_cast<char*>(std::aligned_alloc(4096, kBytes)));
    return buffer_.get();
  }

 private:
  struct Free {
    void operator()(char* buffer) const { std::free(buffer); }
  };
  std::unique_ptr<char, Free> buffer_;
};

}  // namespace kvo
