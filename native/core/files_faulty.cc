// Faults by text: rules separated by ';', each `call:fault[@first][xcount]`.
//   call   open close fstat stat preadv pwritev ftruncate fsync link unlink rename mkdir
//   fault  an errno's name (EIO ENOSPC …), `short=N` (at most N bytes a call), `delay=MS`, `eof` (reads give 0)
//   first  the first call of that name that is hit, from 1 (default 1); count: how many (default all from there)
// Example: "pwritev:ENOSPC@3x1;link:EPERM" fails the third write once and every hard link.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "files.h"

namespace kvo {
namespace {

const std::map<std::string, int> kErrors = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},   {"EAGAIN", EAGAIN},
    {"EROFS", EROFS},   {"EACCES", EACCES}, {"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EEXIST", EEXIST},
    {"EINVAL", EINVAL}, {"EMFILE", EMFILE}, {"ENOSYS", ENOSYS}, {"EMLINK", EMLINK}, {"EOPNOTSUPP", EOPNOTSUPP},
};

struct Rule {
  int error = 0;
  size_t most = 0;
  int delay_ms = 0;
  bool eof = false;
  uint64_t first = 1;
  uint64_t count = UINT64_MAX;
};

struct Call {
  std::vector<Rule> rules;
  std::atomic<uint64_t> seen{0};
};

class FaultyFiles final : public Files {
 public:
  explicit FaultyFiles(std::shared_ptr<Files> real) : real_(std::move(real)) {}

  bool add(const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) return false;
    const auto call = calls_.find(text.substr(0, colon));
    if (call == calls_.end()) return false;
    std::string fault = text.substr(colon + 1);
    Rule rule;
    if (const auto at = fault.find('@'); at != std::string::npos) {
      char* end = nullptr;
      rule.first = std::strtoull(fault.c_str() + at + 1, &end, 10);
      if (*end == 'x') rule.count = std::strtoull(end + 1, &end, 10);
      if (*end != '\0' || rule.first == 0) return false;
      fault.resize(at);
    }
    if (const auto error = kErrors.find(fault); error != kErrors.end()) rule.error = error->second;
    else if (fault.rfind("short=", 0) == 0) rule.most = std::strtoull(fault.c_str() + 6, nullptr, 10);
    else if (fault.rfind("delay=", 0) == 0)
      rule.delay_ms = static_cast<int>(std::strtol(fault.c_str() + 6, nullptr, 10));
    else if (fault == "eof") rule.eof = true;
    else return false;
    call->second.rules.push_back(rule);
    return true;
  }

  int open(const char* path, int flags, mode_t mode) override {
    const Rule fault = next("open");
    return fault.error ? -fault.error : real_->open(path, flags, mode);
  }
  // Closes in any case, as close(2) does when it reports an error.
  int close(int fd) override {
    const Rule fault = next("close");
    const int result = real_->close(fd);
    return fault.error ? -fault.error : result;
  }
  int fstat(int fd, FileInfo& out) override {
    const Rule fault = next("fstat");
    return fault.error ? -fault.error : real_->fstat(fd, out);
  }
  int stat(const char* path, FileInfo& out) override {
    const Rule fault = next("stat");
    return fault.error ? -fault.error : real_->stat(path, out);
  }
  ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) override {
    const Rule fault = next("preadv");
    if (fault.error) return -fault.error;
    if (fault.eof) return 0;
    const std::vector<iovec> cut = shorten(parts, count, fault);
    return real_->preadv(fd, cut.data(), static_cast<int>(cut.size()), offset);
  }
  ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) override {
    const Rule fault = next("pwritev");
    if (fault.error) return -fault.error;
    const std::vector<iovec> cut = shorten(parts, count, fault);
    return real_->pwritev(fd, cut.data(), static_cast<int>(cut.size()), offset);
  }
  int ftruncate(int fd, off_t bytes) override {
    const Rule fault = next("ftruncate");
    return fault.error ? -fault.error : real_->ftruncate(fd, bytes);
  }
  int fsync(int fd) override {
    const Rule fault = next("fsync");
    return fault.error ? -fault.error : real_->fsync(fd);
  }
  int link(const char* from, const char* to) override {
    const Rule fault = next("link");
    return fault.error ? -fault.error : real_->link(from, to);
  }
  int unlink(const char* path) override {
    const Rule fault = next("unlink");
    return fault.error ? -fault.error : real_->unlink(path);
  }
  int rename(const char* from, const char* to, bool no_replace) override {
    const Rule fault = next("rename");
    return fault.error ? -fault.error : real_->rename(from, to, no_replace);
  }
  int mkdir(const char* path, mode_t mode) override {
    const Rule fault = next("mkdir");
    return fault.error ? -fault.error : real_->mkdir(path, mode);
  }

 private:
  // The rule that hits this call, delays done; an empty rule where none does.
  Rule next(const char* name) {
    Call& call = calls_.at(name);
    const uint64_t number = call.seen.fetch_add(1) + 1;
    for (const Rule& rule : call.rules) {
      if (number < rule.first || number - rule.first >= rule.count) continue;
      if (rule.delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(rule.delay_ms));
      return rule;
    }
    return {};
  }

  static std::vector<iovec> shorten(const iovec* parts, int count, const Rule& fault) {
    std::vector<iovec> cut(parts, parts + count);
    if (fault.most == 0) return cut;
    size_t left = fault.most;
    for (iovec& part : cut) {
      part.iov_len = part.iov_len < left ? part.iov_len : left;
      left -= part.iov_len;
    }
    return cut;
  }

  const std::shared_ptr<Files> real_;
  std::map<std::string, Call> calls_ = makeCalls();

  static std::map<std::string, Call> makeCalls() {
    std::map<std::string, Call> calls;
    for (const char* name : {"open", "close", "fstat", "stat", "preadv", "pwritev", "ftruncate", "fsync", "link",
                             "unlink", "rename", "mkdir"}) {
      calls.try_emplace(name);
    }
    return calls;
  }
};

}  // namespace

std::shared_ptr<Files> faultyFiles(std::shared_ptr<Files> real, const std::string& faults) {
  auto files = std::make_shared<FaultyFiles>(std::move(real));
  size_t from = 0;
  while (from < faults.size()) {
    const size_t to = std::min(faults.find(';', from), faults.size());
    if (!files->add(faults.substr(from, to - from))) return nullptr;
    from = to + 1;
  }
  return files;
}

}  // namespace kvo
