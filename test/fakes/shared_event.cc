#include "shared_event.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

namespace kvo::fake {
namespace {

// What an IPC handle says here.
struct Exported {
  std::array<char, 8> magic;
  int pid;
  int fd;
  uint64_t inode;
};
static_assert(sizeof(Exported) <= sizeof(CudaIpcHandle));
constexpr std::array<char, 8> kMagic = {'k', 'v', 'o', '-', 'e', 'v', 't', '1'};

uint64_t inodeOf(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

class SharedRecording : public Recording {
 public:
  SharedRecording(std::shared_ptr<SharedEvent> event, const SharedEvent::Counts& counts)
      : event_(std::move(event)), counts_(counts), number_(counts.recorded.load()) {}

  bool isDone() override { return counts_.done.load() >= number_; }
  void wait() override {
    while (!isDone()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

 private:
  const std::shared_ptr<SharedEvent> event_;  // keeps the counts
  const SharedEvent::Counts& counts_;
  const uint64_t number_;
};

}  // namespace

std::shared_ptr<SharedEvent> SharedEvent::map(int fd) {
  void* const at = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) return std::shared_ptr<SharedEvent>(new SharedEvent(fd, *static_cast<Counts*>(at)));
  ::close(fd);
  return nullptr;
}

std::shared_ptr<SharedEvent> SharedEvent::make() {
  const int fd = ::memfd_create("kvo-fake-event", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  if (::ftruncate(fd, sizeof(Counts)) == 0) return map(fd);
  ::close(fd);
  return nullptr;
}

std::shared_ptr<SharedEvent> SharedEvent::open(const CudaIpcHandle& handle) {
  Exported exported{};
  std::memcpy(&exported, &handle, sizeof exported);
  if (exported.magic != kMagic || exported.inode == 0 || exported.pid == ::getpid()) return nullptr;
  const std::string path = "/proc/" + std::to_string(exported.pid) + "/fd/" + std::to_string(exported.fd);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  if (inodeOf(fd) == exported.inode) return map(fd);
  ::close(fd);
  return nullptr;
}

SharedEvent::~SharedEvent() {
  ::munmap(&counts_, sizeof(Counts));
  ::close(fd_);
}

CudaIpcHandle SharedEvent::handle() const {
  const Exported exported = {kMagic, ::getpid(), fd_, inodeOf(fd_)};
  CudaIpcHandle handle{};
  std::memcpy(&handle, &exported, sizeof exported);
  return handle;
}

void SharedEvent::record(Stream& stream) {
  const uint64_t number = ++counts_.recorded;
  Work work;
  work.always = true;
  work.run = [self = shared_from_this(), number](Health&) { self->counts_.done.store(number); };
  stream.submit(std::move(work));
}

std::shared_ptr<Recording> SharedEvent::last() {
  return std::make_shared<SharedRecording>(shared_from_this(), counts_);
}

}  // namespace kvo::fake
