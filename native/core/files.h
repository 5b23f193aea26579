// Every system call on files goes through this interface, so that tests can make each of them fail.
//
// Functions return what the system call does, but −errno instead of −1. Implementations are used by many threads
// at once and hold no state that needs a lock the caller must know of.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>

namespace kvo {

struct FileInfo {
  uint64_t bytes = 0;
  uint64_t links = 0;
  bool regular = false;
};

class Files {
 public:
  virtual ~Files() = default;
  virtual int open(const char* path, int flags, mode_t mode) = 0;
  virtual int close(int fd) = 0;
  virtual int fstat(int fd, FileInfo& out) = 0;
  virtual int stat(const char* path, FileInfo& out) = 0;
  virtual ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) = 0;
  virtual ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) = 0;
  virtual int ftruncate(int fd, off_t bytes) = 0;
  virtual int fsync(int fd) = 0;
  virtual int link(const char* from, const char* to) = 0;
  virtual int unlink(const char* path) = 0;
  // With no_replace an existing `to` gives −EEXIST, and −EINVAL where the filesystem can't promise that.
  virtual int rename(const char* from, const char* to, bool no_replace) = 0;
  virtual int mkdir(const char* path, mode_t mode) = 0;
};

std::shared_ptr<Files> posixFiles();

// Wraps `real` so that chosen calls fail, are cut short or take long; the grammar is in files_faulty.cc.
// Null when the text does not parse.
std::shared_ptr<Files> faultyFiles(std::shared_ptr<Files> real, const std::string& faults);

}  // namespace kvo
