#include "file_cache.h"

#include <fcntl.h>

#include <cerrno>

namespace kvo {

Status FileCache::open(Io& io, const char* path, bool direct, std::shared_ptr<OpenFile>& file, FileInfo& info) {
  if (capacity_ > 0) {
    file = find(path);
    if (file != nullptr) {
      bool fresh = false;
      if (!file->distrusted.load(std::memory_order_acquire) && io.fstat(file->fd, info) == 0) {
        const std::lock_guard lock(mutex_);
        fresh = info.links > 0 && info.links >= file->links;
        file->links = info.links;
      }
      if (fresh) {
        io.stats().add(Stat::kFilesReused);
        return {};
      }
      drop(io, path);
      io.letGo(file);
    }
  }

  // Without O_NONBLOCK, opening a FIFO that someone left under a chunk's name would hang.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  int fd = io.open(path, kFlags | (direct ? O_DIRECT : 0));
  if (fd == -EMFILE || fd == -ENFILE) {
    clear(io);
    fd = io.open(path, kFlags | (direct ? O_DIRECT : 0));
  }
  const bool is_direct = direct && fd != -EINVAL;
  if (direct && !is_direct) {
    io.stats().add(Stat::kDirectRefused);
    fd = io.open(path, kFlags);
  }
  if (fd < 0) return Status::fail(Step::kOpen, -fd);
  io.stats().add(Stat::kFilesOpened);
  file = std::make_shared<OpenFile>(io.files(), fd, is_direct);
  Status status;
  if (const int error = io.fstat(fd, info); error != 0) status = Status::fail(Step::kStat, -error);
  else if (!info.regular) status = Status::fail(Step::kOpen, EISDIR);
  if (!status.ok()) {
    io.letGo(file);
    return status;
  }
  file->links = info.links;
  if (capacity_ > 0) {
    std::shared_ptr<OpenFile> out = keep(path, file);
    if (out != nullptr) io.letGo(out);
  }
  return {};
}

std::shared_ptr<OpenFile> FileCache::find(std::string_view path) {
  const std::lock_guard lock(mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  found->second->used = coarseNow();
  return found->second->file;
}

std::shared_ptr<OpenFile> FileCache::keep(const char* path, const std::shared_ptr<OpenFile>& file) {
  std::shared_ptr<OpenFile> out;
  const std::lock_guard lock(mutex_);
  if (by_path_.contains(path)) return out;
  const int64_t now = coarseNow();
  if (order_.size() >= capacity_) {
    if (now - order_.back().used < kept_.count()) return out;
    out = std::move(order_.back().file);
    by_path_.erase(order_.back().path);
    order_.pop_back();
  }
  order_.push_front({path, file, now});
  by_path_.emplace(order_.front().path, order_.begin());
  return out;
}

void FileCache::drop(Io& io, const char* path) {
  std::shared_ptr<OpenFile> out;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) return;
    const Order::iterator entry = found->second;
    out = std::move(entry->file);
    by_path_.erase(found);
    order_.erase(entry);
  }
  io.letGo(out);
}

void FileCache::clear(Io& io) {
  Order out;
  {
    const std::lock_guard lock(mutex_);
    by_path_.clear();
    out.swap(order_);
  }
  if (!out.empty()) io.letGo(out);
}

void FileCache::distrust(const char* path) {
  const std::lock_guard lock(mutex_);
  const auto found = by_path_.find(path);
  if (found != by_path_.end()) found->second->file->distrusted.store(true, std::memory_order_release);
}

size_t FileCache::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace kvo
