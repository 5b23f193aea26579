#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "files.h"

namespace kvo {
namespace {

template <typename Result>
Result orErrno(Result result) {
  return result < 0 ? static_cast<Result>(-errno) : result;
}

void describe(const struct stat& from, FileInfo& out) {
  out.bytes = static_cast<uint64_t>(from.st_size);
  out.links = static_cast<uint64_t>(from.st_nlink);
  out.regular = S_ISREG(from.st_mode);
}

class PosixFiles final : public Files {
 public:
  int open(const char* path, int flags, mode_t mode) override { return orErrno(::open(path, flags, mode)); }
  int close(int fd) override { return orErrno(::close(fd)); }
  int fstat(int fd, FileInfo& out) override {
    struct stat info {};
    const int result = orErrno(::fstat(fd, &info));
    if (result == 0) describe(info, out);
    return result;
  }
  int stat(const char* path, FileInfo& out) override {
    struct stat info {};
    const int result = orErrno(::stat(path, &info));
    if (result == 0) describe(info, out);
    return result;
  }
  ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) override {
    return orErrno(::preadv(fd, parts, count, offset));
  }
  ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) override {
    return orErrno(::pwritev(fd, parts, count, offset));
  }
  int ftruncate(int fd, off_t bytes) override { return orErrno(::ftruncate(fd, bytes)); }
  int fsync(int fd) override { return orErrno(::fsync(fd)); }
  int link(const char* from, const char* to) override { return orErrno(::link(from, to)); }
  int unlink(const char* path) override { return orErrno(::unlink(path)); }
  int rename(const char* from, const char* to, bool no_replace) override {
    if (!no_replace) return orErrno(::rename(from, to));
    return orErrno(static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1U /* RENAME_NOREPLACE */)));
  }
  int mkdir(const char* path, mode_t mode) override { return orErrno(::mkdir(path, mode)); }
};

}  // namespace

std::shared_ptr<Files> posixFiles() { return std::make_shared<PosixFiles>(); }

}  // namespace kvo
