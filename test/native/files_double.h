// A Files for tests that shows each call to a hook before it is made, which may hold it up or fail it.
#pragma once

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "core/files.h"

namespace kvo {

struct FileCall {
  const char* name;
  std::string path;  // of calls by path
  int fd;
  off_t offset;
  int flags;
  std::string to;  // of link and rename
};

// 0 goes on to the real call, −errno fails it. Called from any thread.
using FileHook = std::function<int(const FileCall&)>;

class HookedFiles final : public Files {
 public:
  HookedFiles(std::shared_ptr<Files> real, FileHook hook) : real_(std::move(real)), hook_(std::move(hook)) {}

  int open(const char* path, int flags, mode_t mode) override {
    const int error = hook_({"open", path, -1, 0, flags, {}});
    return error != 0 ? error : real_->open(path, flags, mode);
  }
  int close(int fd) override {
    const int error = hook_({"close", "", fd, 0, 0, {}});
    const int result = real_->close(fd);
    return error != 0 ? error : result;
  }
  int fstat(int fd, FileInfo& out) override {
    const int error = hook_({"fstat", "", fd, 0, 0, {}});
    return error != 0 ? error : real_->fstat(fd, out);
  }
  int stat(const char* path, FileInfo& out) override {
    const int error = hook_({"stat", path, -1, 0, 0, {}});
    return error != 0 ? error : real_->stat(path, out);
  }
  ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) override {
    const int error = hook_({"preadv", "", fd, offset, 0, {}});
    return error != 0 ? error : real_->preadv(fd, parts, count, offset);
  }
  ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) override {
    const int error = hook_({"pwritev", "", fd, offset, 0, {}});
    return error != 0 ? error : real_->pwritev(fd, parts, count, offset);
  }
  int ftruncate(int fd, off_t bytes) override {
    const int error = hook_({"ftruncate", "", fd, 0, 0, {}});
    return error != 0 ? error : real_->ftruncate(fd, bytes);
  }
  int fsync(int fd) override {
    const int error = hook_({"fsync", "", fd, 0, 0, {}});
    return error != 0 ? error : real_->fsync(fd);
  }
  int link(const char* from, const char* to) override {
    const int error = hook_({"link", from, -1, 0, 0, to});
    return error != 0 ? error : real_->link(from, to);
  }
  int unlink(const char* path) override {
    const int error = hook_({"unlink", path, -1, 0, 0, {}});
    return error != 0 ? error : real_->unlink(path);
  }
  int rename(const char* from, const char* to, bool no_replace) override {
    const int error = hook_({"rename", from, -1, 0, 0, to});
    return error != 0 ? error : real_->rename(from, to, no_replace);
  }
  int mkdir(const char* path, mode_t mode) override {
    const int error = hook_({"mkdir", path, -1, 0, 0, {}});
    return error != 0 ? error : real_->mkdir(path, mode);
  }

 private:
  const std::shared_ptr<Files> real_;
  const FileHook hook_;
};

inline std::shared_ptr<Files> hooked(FileHook hook, std::shared_ptr<Files> real = posixFiles()) {
  return std::make_shared<HookedFiles>(std::move(real), std::move(hook));
}

// Holds up one call, the nth of a name, until it is opened. Opened for good by its destructor.
class Gate {
 public:
  explicit Gate(std::string name, int nth = 1) : name_(std::move(name)), left_(nth) {}
  ~Gate() { open(); }

  // For the hook. Returns at once for every other call.
  int pass(const FileCall& call) {
    if (name_ == call.name && left_.fetch_sub(1) == 1) block();
    return 0;
  }
  void block() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void waitUntilReached() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return reached_; });
  }
  bool reached() {
    const std::lock_guard lock(mutex_);
    return reached_;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  const std::string name_;
  std::atomic<int> left_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false;
  bool open_ = false;
};

inline std::shared_ptr<Gate> gate(std::string name, int nth = 1) {
  return std::make_shared<Gate>(std::move(name), nth);
}
inline std::shared_ptr<Files> gated(const std::shared_ptr<Gate>& gate) {
  return hooked([gate](const FileCall& call) { return gate->pass(call); });
}

// Refuses what the strictest disk would of direct I/O, for filesystems that do not look: memory, offsets and lengths
// that are not multiples of 4096.
class StrictFiles final : public Files {
 public:
  int open(const char* path, int flags, mode_t mode) override {
    const int fd = real_->open(path, flags, mode);
    if (fd >= 0) note(fd, (flags & O_DIRECT) != 0);
    return fd;
  }
  int close(int fd) override {
    note(fd, false);
    return real_->close(fd);
  }
  int fstat(int fd, FileInfo& out) override { return real_->fstat(fd, out); }
  int stat(const char* path, FileInfo& out) override { return real_->stat(path, out); }
  ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) override {
    return allowed(fd, parts, count, offset) ? real_->preadv(fd, parts, count, offset) : -EINVAL;
  }
  ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) override {
    return allowed(fd, parts, count, offset) ? real_->pwritev(fd, parts, count, offset) : -EINVAL;
  }
  int ftruncate(int fd, off_t bytes) override { return real_->ftruncate(fd, bytes); }
  int fsync(int fd) override { return real_->fsync(fd); }
  int link(const char* from, const char* to) override { return real_->link(from, to); }
  int unlink(const char* path) override { return real_->unlink(path); }
  int rename(const char* from, const char* to, bool no_replace) override { return real_->rename(from, to, no_replace); }
  int mkdir(const char* path, mode_t mode) override { return real_->mkdir(path, mode); }

 private:
  void note(int fd, bool direct) {
    const std::lock_guard lock(mutex_);
    if (direct) direct_.insert(fd);
    else direct_.erase(fd);
  }
  bool allowed(int fd, const iovec* parts, int count, off_t offset) {
    {
      const std::lock_guard lock(mutex_);
      if (!direct_.contains(fd)) return true;
    }
    for (int part = 0; part < count; ++part) {
      if (reinterpret_cast<uintptr_t>(parts[part].iov_base) % 4096 != 0 || parts[part].iov_len % 4096 != 0)
        return false;
    }
    return offset % 4096 == 0;
  }

  const std::shared_ptr<Files> real_ = posixFiles();
  std::mutex mutex_;
  std::set<int> direct_;
};

}  // namespace kvo
