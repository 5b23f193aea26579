// The fake cuFile's reads and writes.
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "counters.h"
#include "cufile_state.h"
#include "report.h"

namespace kvo::fake {
namespace {

constexpr size_t kBlock = 4096;

enum class Way { kP2p, kNvfs, kPosix };

Way configuredWay() {
  static const Way way = [] {
    const char* const text = std::getenv("KVO_FAKE_PATH");
    const std::string name = text == nullptr ? "p2p" : text;
    if (name == "posix") return Way::kPosix;
    if (name == "nvfs") return Way::kNvfs;
    if (name != "p2p") misused("KVO_FAKE_PATH=" + name);
    return Way::kP2p;
  }();
  return way;
}

// Whether base is that of a buffer; -code where it is and the range leaves it.
int registration(uint64_t base, off_t offset, size_t bytes) {
  const auto found = state().buffers.find(base);
  if (found == state().buffers.end()) return 0;
  const auto from = static_cast<size_t>(offset);
  return bytes <= found->second.bytes && from <= found->second.bytes - bytes ? 1 : -kMappingRange;
}

void countTransfer(bool is_read, int ordinal, bool by_posix, bool is_aligned, ssize_t result) {
  const Way way = by_posix ? Way::kPosix : configuredWay();
  count(is_read ? Counter::kReads : Counter::kWrites);
  if (way == Way::kPosix) count(Counter::kPosix);
  const std::lock_guard lock(state().mutex);
  if (state().stats_level < 3 || !state().are_stats_on) return;
  CuFileGpuStats& gpu = state().gpu_stats[static_cast<unsigned>(ordinal) % kCuFileMostGpus];
  if (result < 0) {
    ++(is_read ? gpu.read_errors : gpu.write_errors);
    return;
  }
  ++(is_read ? gpu.read_total : gpu.write_total);
  (is_read ? gpu.read_bytes : gpu.write_bytes) += static_cast<uint64_t>(result);
  if (is_read && !is_aligned) ++gpu.read_unaligned;
  if (way == Way::kPosix) ++(is_read ? gpu.read_posix : gpu.write_posix);
  else if (way == Way::kNvfs) ++(is_read ? gpu.read_nvfs : gpu.write_nvfs);
  else ++(is_read ? gpu.read_p2p : gpu.write_p2p);
}

// The same file without O_DIRECT: cuFile takes any length and any place of such a file, where read and write do not.
class Plain {
 public:
  explicit Plain(int fd) : fd_(fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT) == 0) return;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    own_ = ::open(path.c_str(), (flags & O_ACCMODE) | O_CLOEXEC);
  }
  ~Plain() {
    if (own_ >= 0) ::close(own_);
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  int fd() const { return own_ >= 0 ? own_ : fd_; }

 private:
  const int fd_;
  int own_ = -1;
};

// By pieces through host memory, as its own compat mode does.
ssize_t moveBytes(bool is_read, int given, uint64_t address, size_t bytes, off_t at) {
  const Plain file(given);
  const int fd = file.fd();
  std::vector<char> between(std::min<size_t>(bytes, 1 << 20));
  size_t done = 0;
  while (done < bytes) {
    const size_t piece = std::min(bytes - done, between.size());
    const off_t place = at + static_cast<off_t>(done);
    if (!is_read && !bridge()->fromDevice(between.data(), address + done, piece)) return -kPointerInvalid;
    const ssize_t moved =
        is_read ? ::pread(fd, between.data(), piece, place) : ::pwrite(fd, between.data(), piece, place);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    if (moved == 0) break;
    if (is_read && !bridge()->toDevice(address + done, between.data(), static_cast<size_t>(moved)))
      return -kPointerInvalid;
    done += static_cast<size_t>(moved);
  }
  return static_cast<ssize_t>(done);
}

// Checks, and notes the transfer as under way.
int begin(CuFileHandle handle, uint64_t base, size_t bytes, off_t file_offset, off_t base_offset, bool is_read,
          std::shared_ptr<File>& file, std::list<Transfer>::iterator& transfer) {
  const std::lock_guard lock(state().mutex);
  if (state().opens == 0) return kNotOpen;
  file = state().files.find(handle);
  if (!file) return kHandleNotRegistered;
  if (isOther(*file)) {
    violation(std::string("cuFile ") + (is_read ? "read" : "write") + ": its file was closed before its handle");
    return kHandleNotRegistered;
  }
  if (file_offset < 0 || base_offset < 0) return kInvalidValue;
  const uint64_t address = base + static_cast<uint64_t>(base_offset);
  if (const int wrong = checkedMemory(base, address, bytes); wrong != 0) return wrong;
  const int registered = registration(base, base_offset, bytes);
  if (registered < 0) return -registered;
  if (registered == 0) count(Counter::kUnregistered);
  transfer = state().under_way.insert(state().under_way.end(), {handle, address, bytes});
  count(Counter::kUnderWay);
  return 0;
}

}  // namespace

ssize_t transfer(bool is_read, CuFileHandle handle, const void* base, size_t bytes, off_t file_offset,
                 off_t base_offset) {
  const auto start = reinterpret_cast<uint64_t>(base);
  std::shared_ptr<File> file;
  std::list<Transfer>::iterator noted;
  // Before the faults, so that what hangs counts as under way.
  if (const int wrong = begin(handle, start, bytes, file_offset, base_offset, is_read, file, noted); wrong != 0)
    return -wrong;
  const Fault fault = nextFault(is_read ? "read" : "write");
  const size_t wanted = std::min(bytes, fault.most.value_or(bytes));
  ssize_t result = fault.code != 0 ? -fault.code : -1;
  int error = fault.error;
  if (fault.code == 0 && fault.error == 0) {
    result = moveBytes(is_read, file->fd, start + static_cast<uint64_t>(base_offset), wanted, file_offset);
    error = errno;
  }
  const bool is_aligned = (bytes | static_cast<size_t>(file_offset)) % kBlock == 0;
  countTransfer(is_read, bridge()->currentDevice(), fault.posix, is_aligned, result);
  {
    const std::lock_guard lock(state().mutex);
    state().under_way.erase(noted);
  }
  count(Counter::kUnderWay, -1);
  errno = error;
  return result;
}

}  // namespace kvo::fake
