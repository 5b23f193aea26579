// File operations as a worker does them: each call is watched (worker.h), EINTR and EAGAIN are retried, and short
// reads and writes are continued by the callers in transfer.cc.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <thread>
#include <utility>

#include "files.h"
#include "stats.h"
#include "worker.h"

namespace kvo {

class Io {
 public:
  Io(std::shared_ptr<Files> files, Worker& worker, Stats& stats)
      : files_(std::move(files)), worker_(worker), stats_(stats) {}

  int open(const char* path, int flags, mode_t mode = 0) {
    int fd = -1;
    try {
      return watched("open", [&] { return fd = files_->open(path, flags, mode); });
    } catch (const Abandoned&) {
      // It returned after all: nobody else knows of the descriptor, nor of the file it made.
      if (fd >= 0) files_->close(fd);
      if (fd >= 0 && (flags & O_CREAT) != 0) files_->unlink(path);
      throw;
    }
  }
  // Never retried: after EINTR the descriptor is gone.
  int close(int fd) {
    worker_.enter("close");
    const int result = files_->close(fd);
    worker_.leave();
    return result == -EINTR ? 0 : result;
  }
  // Lets go of what may close descriptors as it goes: an OpenFile's last owner, or a list of such.
  template <typename Owner>
  void letGo(Owner& owner) {
    worker_.enter("close");
    owner = Owner();
    worker_.leave();
  }
  int fstat(int fd, FileInfo& out) {
    return watched("fstat", [&] { return files_->fstat(fd, out); });
  }
  int stat(const char* path, FileInfo& out) {
    return watched("stat", [&] { return files_->stat(path, out); });
  }
  ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) {
    return watched("preadv", [&] { return files_->preadv(fd, parts, count, offset); });
  }
  ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
    return watched("pwritev", [&] { return files_->pwritev(fd, parts, count, offset); });
  }
  int ftruncate(int fd, off_t bytes) {
    return watched("ftruncate", [&] { return files_->ftruncate(fd, bytes); });
  }
  int fsync(int fd) {
    return watched("fsync", [&] { return files_->fsync(fd); });
  }
  int link(const char* from, const char* to) {
    return watched("link", [&] { return files_->link(from, to); });
  }
  // A link that is to be moved on: one that a hung call made after all is taken away again.
  int linkTemporary(const char* from, const char* to) {
    int result = -1;
    try {
      return watched("link", [&] { return result = files_->link(from, to); });
    } catch (const Abandoned&) {
      if (result == 0) files_->unlink(to);
      throw;
    }
  }
  int unlink(const char* path) {
    return watched("unlink", [&] { return files_->unlink(path); });
  }
  int rename(const char* from, const char* to, bool no_replace) {
    return watched("rename", [&] { return files_->rename(from, to, no_replace); });
  }
  int mkdir(const char* path) {
    return watched("mkdir", [&] { return files_->mkdir(path, 0777); });
  }

  // A call of CUDA's or cuFile's, which retries by itself.
  template <typename Call>
  auto device(const char* name, Call&& call) -> decltype(call()) {
    worker_.in_driver = true;
    worker_.enter(name);
    auto result = call();
    worker_.leave();
    worker_.in_driver = false;
    return result;
  }

  const std::shared_ptr<Files>& files() const { return files_; }
  Stats& stats() { return stats_; }

 private:
  static constexpr int kMostRetries = 1000;

  template <typename Call>
  auto watched(const char* name, Call&& call) -> decltype(call()) {
    for (int attempt = 0;; ++attempt) {
      worker_.enter(name);
      const auto result = call();
      worker_.leave();
      if (attempt == kMostRetries || (result != -EINTR && result != -EAGAIN)) return result;
      stats_.add(Stat::kRetries);
      if (result == -EAGAIN) std::this_thread::yield();
    }
  }

  const std::shared_ptr<Files> files_;
  Worker& worker_;
  Stats& stats_;
};

}  // namespace kvo
