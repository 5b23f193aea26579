#include "file_life.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace plain {
namespace {

void whole(bool reading, int fd, iovec* pieces, int count, off_t offset) {
  size_t left = 0;
  for (int i = 0; i < count; ++i) left += pieces[i].iov_len;
  while (left > 0) {
    const ssize_t done = reading ? preadv(fd, pieces, count, offset) : pwritev(fd, pieces, count, offset);
    require(done > 0, reading ? "preadv" : "pwritev");
    left -= static_cast<size_t>(done);
    offset += done;
    for (auto rest = static_cast<size_t>(done); rest > 0;) {
      const size_t step = std::min(rest, pieces->iov_len);
      pieces->iov_base = static_cast<char*>(pieces->iov_base) + step;
      pieces->iov_len -= step;
      rest -= step;
      if (pieces->iov_len == 0) ++pieces, --count;
    }
  }
}

}  // namespace

std::string pathOf(const Options& options, size_t file) {
  return options.directory + '/' + std::to_string(file % options.folders) + "/plain-" + std::to_string(file);
}

void Reader::read(const Part& part, char* to) {
  iovec pieces[2] = {{header_, kHeader}, {to, part.length}};
  if (part.offset == 0) {
    fd_ = open(pathOf(options_, part.file).c_str(), O_RDONLY | O_CLOEXEC);
    require(fd_ >= 0, "open");
    struct stat info {};
    require(fstat(fd_, &info) == 0, "fstat");
    require(static_cast<size_t>(info.st_size) == kHeader + options_.bytes, "the file's size");
    whole(true, fd_, pieces, 2, 0);
  } else {
    whole(true, fd_, pieces + 1, 1, static_cast<off_t>(kHeader + part.offset));
  }
  if (part.offset + part.length == options_.bytes) require(close(fd_) == 0, "close");
}

void Writer::write(const Part& part, char* from) {
  static char header[kHeader] = "plain";
  const std::string path = pathOf(options_, part.file);
  const std::string temporary = path + ".tmp";
  iovec pieces[2] = {{header, kHeader}, {from, part.length}};
  if (part.offset == 0) {
    fd_ = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    require(fd_ >= 0, "open");
    whole(false, fd_, pieces, 2, 0);
  } else {
    whole(false, fd_, pieces + 1, 1, static_cast<off_t>(kHeader + part.offset));
  }
  if (part.offset + part.length != options_.bytes) return;
  require(close(fd_) == 0, "close");
  publish(path);
}

void publish(const std::string& path) {
  const std::string temporary = path + ".tmp";
  const std::string sidecar = path + ".metadata";
  require(link(temporary.c_str(), (sidecar + ".tmp").c_str()) == 0, "link");
  require(rename(temporary.c_str(), path.c_str()) == 0, "rename");
  require(rename((sidecar + ".tmp").c_str(), sidecar.c_str()) == 0, "rename");
}

void prepareStore(const Options& options) {
  namespace fs = std::filesystem;
  static int asides = 0;
  if (fs::exists(options.directory)) {
    // By process: each row of a benchmark has one, and they share the directory.
    const std::string name = std::to_string(getpid()) + '-' + std::to_string(asides++);
    const std::string aside = options.directory + ".before-" + name;
    fs::rename(options.directory, aside);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(aside))
      if (entry.is_regular_file()) fs::resize_file(entry.path(), 0);
  }
  for (size_t folder = 0; folder < options.folders; ++folder)
    fs::create_directories(options.directory + '/' + std::to_string(folder));
}

}  // namespace plain
