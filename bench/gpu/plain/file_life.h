// A file's whole life, as a store and a load of it must live it. Each ends the process on any failure.
#pragma once

#include <string>

#include "lane.h"

namespace plain {

inline constexpr size_t kHeader = 4096;

std::string pathOf(const Options& options, size_t file);

// Open, fstat, header and payload by one preadv, close. Pieces of one file come in order.
class Reader {
 public:
  explicit Reader(const Options& options) : options_(options) {}
  void read(const Part& part, char* to);

 private:
  const Options& options_;
  int fd_ = -1;
  alignas(64) char header_[kHeader];
};

// A new temporary file, header and payload by one pwritev, the sidecar as a hard link, both renamed into place.
class Writer {
 public:
  explicit Writer(const Options& options) : options_(options) {}
  void write(const Part& part, char* from);

 private:
  const Options& options_;
  int fd_ = -1;
};

// What is written at `path`.tmp gets its name, and a sidecar as a hard link.
void publish(const std::string& path);

// Before a store that is timed: folders made, files of an earlier one set aside and emptied. Not deleted: ext4 without a
// journal makes new files slowly where others were deleted less than a minute ago.
void prepareStore(const Options& options);

}  // namespace plain
