// Files kept open for reading, a bounded number, the least recently used closed first. Safe for any thread.
//
// A cached descriptor goes on reading a file that was deleted or replaced meanwhile, so each use compares the link
// count: one that has fallen drops the descriptor and opens the path anew. (A data file is one link, its sidecar
// another; a count that rises is a sidecar added, and harmless.)
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "files.h"
#include "gds_file.h"
#include "io.h"
#include "status.h"

namespace kvo {

// Owns a descriptor, and its registration with cuFile; closed when the last user lets go.
struct OpenFile {
  OpenFile(std::shared_ptr<Files> files, int fd, bool direct) : files(std::move(files)), fd(fd), direct(direct) {}
  ~OpenFile() {
    const int open = release();
    if (open >= 0) files->close(open);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // For the only user, who wants to know what close says: the descriptor, no longer owned.
  int release() {
    gds.reset();
    return std::exchange(fd, -1);
  }

  const std::shared_ptr<Files> files;
  int fd;
  const bool direct;
  uint64_t links = 0;                   // as last seen; guarded by the cache's mutex
  std::atomic<bool> distrusted{false};  // a call on it hangs: not to be used again
  std::once_flag registered;
  std::unique_ptr<GdsFile> gds;  // null before its first use with cuFile, and where that refuses it
  int gds_refused = 0;           // with this code
};

class FileCache {
 public:
  // A full cache keeps what it has for `kept` after its last use: a run through more files than fit would else push out
  // each before it comes round again.
  FileCache(size_t capacity, std::chrono::nanoseconds kept) : capacity_(capacity), kept_(kept) {}

  // Opens the path, or finds it open; `info` is as of now. `direct` asks for O_DIRECT where the filesystem takes it.
  Status open(Io& io, const char* path, bool direct, std::shared_ptr<OpenFile>& file, FileInfo& info);
  void drop(Io& io, const char* path);
  void clear(Io& io);
  // The path's next use opens it anew. Makes no system call, for the watchdog.
  void distrust(const char* path);
  size_t size() const;

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<OpenFile> file;
    int64_t used = 0;  // coarseNow()
  };
  using Order = std::list<Entry>;

  // Closing may hang, so what falls out of the cache is handed to a caller who has an Io to close it with.
  std::shared_ptr<OpenFile> find(std::string_view path);
  std::shared_ptr<OpenFile> keep(const char* path, const std::shared_ptr<OpenFile>& file);

  const size_t capacity_;
  const std::chrono::nanoseconds kept_;
  mutable std::mutex mutex_;
  Order order_;  // most recently used first
  std::unordered_map<std::string_view, Order::iterator> by_path_;
};

}  // namespace kvo
