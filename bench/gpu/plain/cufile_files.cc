#include "cufile_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "file_life.h"

namespace plain {
namespace {

[[noreturn]] void end(const char* call, int code) {
  std::fprintf(stderr, "plain_gpu: %s: %s (%d)\n", call, kvo::CuFile::nameOf(code), code);
  std::exit(1);
}

void check(kvo::CuFileError error, const char* call) {
  if (error.error != 0) end(call, error.error);
}

// Bytes, or the end of the process: −1 is an errno, below it cuFile's code.
size_t moved(ssize_t result, const char* call) {
  require(result != -1, call);
  if (result <= 0) end(call, static_cast<int>(-result));
  return static_cast<size_t>(result);
}

void* pointer(kvo::CudaAddress address) { return reinterpret_cast<void*>(address); }

int openedAs(const std::string& path, int flags, bool direct) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC | (direct ? O_DIRECT : 0), 0666);
  require(fd >= 0, "open");
  return fd;
}

}  // namespace

CuFiles::CuFiles(const std::string& library) {
  std::string why;
  cufile_ = kvo::CuFile::load(library, why);
  if (cufile_ == nullptr) {
    std::fprintf(stderr, "plain_gpu: no cuFile: %s\n", why.c_str());
    std::exit(3);
  }
  check(cufile_->openDriver(), "cuFileDriverOpen");
}

void CuFiles::use(const Run& run) {
  if (registered_ == run.target) return;
  if (registered_ != 0) {
    std::fprintf(stderr, "plain_gpu: via=cufile wants runs of one size in a process\n");
    std::exit(2);
  }
  registered_ = run.target;
  const kvo::CuFileError error = cufile_->registerBuffer(pointer(run.target), run.options.total(), 0);
  if (error.error != 0) {
    std::fprintf(stderr, "plain_gpu: cuFileBufRegister: %s (%d); bytes go through cuFile's own buffers\n",
                 kvo::CuFile::nameOf(error.error), error.error);
  }
}

kvo::CuFileHandle CuFiles::handleOf(int fd) const {
  kvo::CuFileDescription description;
  description.fd = fd;
  kvo::CuFileHandle handle = nullptr;
  check(cufile_->registerHandle(&handle, &description), "cuFileHandleRegister");
  return handle;
}

void CuFiles::load(const Run& run, size_t file) const {
  const Options& options = run.options;
  const int fd = openedAs(pathOf(options, file), O_RDONLY, options.direct);
  struct stat info {};
  require(fstat(fd, &info) == 0, "fstat");
  require(static_cast<size_t>(info.st_size) == kHeader + options.bytes, "the file's size");
  alignas(kHeader) char header[kHeader];
  require(pread(fd, header, kHeader, 0) == static_cast<ssize_t>(kHeader), "pread");
  const kvo::CuFileHandle handle = handleOf(fd);
  for (size_t done = 0; done < options.bytes;) {
    const size_t length = std::min(options.slice, options.bytes - done);
    done += moved(cufile_->read(handle, pointer(run.target), length, static_cast<off_t>(kHeader + done),
                                static_cast<off_t>(file * options.bytes + done)),
                  "cuFileRead");
  }
  cufile_->deregisterHandle(handle);
  require(close(fd) == 0, "close");
}

void CuFiles::store(const Run& run, size_t file) const {
  const Options& options = run.options;
  alignas(kHeader) static const char header[kHeader] = "plain";
  const std::string path = pathOf(options, file);
  const int fd = openedAs(path + ".tmp", O_RDWR | O_CREAT | O_EXCL, options.direct);
  const kvo::CuFileHandle handle = handleOf(fd);
  for (size_t done = 0; done < options.bytes;) {
    const size_t length = std::min(options.slice, options.bytes - done);
    done += moved(cufile_->write(handle, pointer(run.target), length, static_cast<off_t>(kHeader + done),
                                 static_cast<off_t>(file * options.bytes + done)),
                  "cuFileWrite");
  }
  cufile_->deregisterHandle(handle);
  require(pwrite(fd, header, kHeader, 0) == static_cast<ssize_t>(kHeader), "pwrite");
  require(close(fd) == 0, "close");
  publish(path);
}

}  // namespace plain
