#include "faults.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "report.h"

namespace kvo::fake {
namespace {

const std::map<std::string, int>& errors() {
  static const auto& all = *new std::map<std::string, int>{
      {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},           {"EAGAIN", EAGAIN},
      {"EROFS", EROFS},   {"EACCES", EACCES}, {"EPERM", EPERM},   {"ENOENT", ENOENT},         {"EBADF", EBADF},
      {"EINVAL", EINVAL}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"ESTALE", ESTALE},         {"EFAULT", EFAULT},
      {"ENOSYS", ENOSYS}, {"EFBIG", EFBIG},   {"ENODEV", ENODEV}, {"EOPNOTSUPP", EOPNOTSUPP},
  };
  return all;
}

// Of both libraries, since both read the same text.
const std::set<std::string>& calls() {
  static const auto& all = *new std::set<std::string>{
      "init",
      "driverVersion",
      "deviceCount",
      "device",
      "deviceName",
      "deviceMemory",
      "devicePciBusId",
      "retainContext",
      "releaseContext",
      "setContext",
      "memoryInfo",
      "allocate",
      "free",
      "allocateHost",
      "freeHost",
      "openIpc",
      "closeIpc",
      "getIpc",
      "openIpcEvent",
      "getIpcEvent",
      "createStream",
      "destroyStream",
      "waitEvent",
      "launchHost",
      "createEvent",
      "destroyEvent",
      "recordEvent",
      "queryEvent",
      "synchronizeEvent",
      "toDevice",
      "toHost",
      "toDeviceAsync",
      "toHostAsync",
      "loadModule",
      "unloadModule",
      "findFunction",
      "launchKernel",
      "copyBatch",
      "pointerAttribute",
      "synchronizeStream",
      "streamCopy",
      "streamKernel",
      "streamHost",
      "openDriver",
      "closeDriver",
      "properties",
      "registerHandle",
      "read",
      "write",
      "registerBuffer",
      "deregisterBuffer",
      "deregisterHandle",
      "setStatsLevel",
      "startStats",
      "stopStats",
      "stats",
      "version",
      "synchronizeContext",
      "pushContext",
      "popContext",
  };
  return all;
}

struct Rule {
  Fault fault;
  int delay_ms = 0;
  bool hang = false;
  bool absent = false;
  uint64_t first = 1;
  uint64_t count = UINT64_MAX;
};

long long number(const std::string& text, const std::string& rule) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 0) misused("not a number in the fault '" + rule + "'");
  return value;
}

// `name=value` or `name=value=further`.
std::vector<std::string> fields(const std::string& text) {
  std::vector<std::string> all;
  for (size_t from = 0; from <= text.size();) {
    const size_t to = std::min(text.find('=', from), text.size());
    all.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return all;
}

void readFault(const std::string& text, const std::string& call, const std::string& whole, Rule& rule) {
  const std::vector<std::string> parts = fields(text);
  const std::string& name = parts[0];
  const auto value = [&](size_t index) { return number(index < parts.size() ? parts[index] : "", whole); };
  const auto only = [&](std::initializer_list<const char*> these) {
    if (std::find(these.begin(), these.end(), call) == these.end()) misused("no such fault for that call: " + whole);
  };
  if (const auto error = errors().find(name); error != errors().end()) {
    only({"read", "write"});
    rule.fault.error = error->second;
  } else if (name == "short" || name == "eof") {
    only({"read", "write"});
    rule.fault.most = name == "eof" ? 0 : static_cast<size_t>(value(1));
  } else if (name == "posix") {
    only({"read", "write"});
    rule.fault.posix = true;
  } else if (name == "delay") {
    rule.delay_ms = static_cast<int>(value(1));
  } else if (name == "hang") {
    rule.hang = true;
  } else if (name == "above") {
    only({"registerBuffer", "allocate", "allocateHost"});
    rule.fault.above = static_cast<size_t>(value(1)) << 20;
    if (parts.size() > 2) rule.fault.above_code = static_cast<int>(value(2));
  } else if (name == "crash") {
    only({"closeDriver"});
    rule.fault.crash = true;
  } else if (name == "absent") {
    only({"copyBatch", "waitEvent", "setStatsLevel", "startStats", "stopStats", "stats", "version", "write"});
    rule.absent = true;
  } else {
    rule.fault.code = static_cast<int>(value(0));
    if (parts.size() > 1) rule.fault.cuda = static_cast<int>(value(1));
  }
}

class Rules {
 public:
  Rules() = default;
  explicit Rules(const std::string& text) {
    for (size_t from = 0; from < text.size();) {
      const size_t to = std::min(text.find_first_of(";\n", from), text.size());
      if (to > from) add(text.substr(from, to - from));
      from = to + 1;
    }
  }

  // Those that hit this call, which is counted.
  std::vector<Rule> next(const std::string& call) {
    std::vector<Rule> hit;
    const auto found = by_call_.find(call);
    if (found == by_call_.end()) return hit;
    const uint64_t at = ++found->second.seen;
    for (const Rule& rule : found->second.rules) {
      if (at >= rule.first && at - rule.first < rule.count) hit.push_back(rule);
    }
    return hit;
  }

  bool has(const std::string& call, bool Rule::*what) const {
    const auto found = by_call_.find(call);
    return found != by_call_.end() && std::any_of(found->second.rules.begin(), found->second.rules.end(),
                                                  [&](const Rule& rule) { return rule.*what; });
  }

 private:
  struct Call {
    std::vector<Rule> rules;
    uint64_t seen = 0;
  };

  void add(const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || calls().count(text.substr(0, colon)) == 0) misused("no such fault: " + text);
    const std::string call = text.substr(0, colon);
    std::string fault = text.substr(colon + 1);
    Rule rule;
    if (const auto at = fault.find('@'); at != std::string::npos) {
      const std::string place = fault.substr(at + 1);
      const size_t times = place.find('x');
      rule.first = static_cast<uint64_t>(number(place.substr(0, times), text));
      if (times != std::string::npos) rule.count = static_cast<uint64_t>(number(place.substr(times + 1), text));
      if (rule.first == 0) misused("calls are counted from 1: " + text);
      fault.resize(at);
    }
    readFault(fault, call, text, rule);
    by_call_[call].rules.push_back(rule);
  }

  std::map<std::string, Call> by_call_;
};

std::string fromEnvironment(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

class Faults {
 public:
  Fault next(const char* call) {
    std::vector<Rule> hit;
    size_t lasting = 0;  // of `hit`, those of the environment come first
    {
      const std::lock_guard lock(mutex_);
      look();
      hit = environment_.next(call);
      lasting = hit.size();
      const std::vector<Rule> more = control_.next(call);
      hit.insert(hit.end(), more.begin(), more.end());
    }
    Fault all;
    for (size_t index = 0; index < hit.size(); ++index) {
      if (hit[index].delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(hit[index].delay_ms));
      while (hit[index].hang && (index < lasting || stillHangs(call))) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      merge(all, hit[index].fault);
    }
    return all;
  }

  bool isAbsent(const char* call) {
    const std::lock_guard lock(mutex_);
    look();
    return environment_.has(call, &Rule::absent) || control_.has(call, &Rule::absent);
  }

 private:
  static void merge(Fault& all, const Fault& one) {
    if (all.code == 0) {
      all.code = one.code;
      all.cuda = one.cuda;
    }
    if (all.error == 0) all.error = one.error;
    if (one.most) all.most = std::min(one.most.value_or(0), all.most.value_or(SIZE_MAX));
    if (!all.above && one.above) {
      all.above = one.above;
      all.above_code = one.above_code;
    }
    all.posix = all.posix || one.posix;
    all.crash = all.crash || one.crash;
  }

  bool stillHangs(const char* call) {
    const std::lock_guard lock(mutex_);
    look();
    return control_.has(call, &Rule::hang);
  }

  // Reads the control file where it may have changed. A file written within the clock's tick of its last look would
  // seem unchanged, so a young one is read again.
  void look() {
    if (path_.empty()) return;
    struct stat info {};
    if (::stat(path_.c_str(), &info) != 0) {
      if (!text_.empty()) control_ = Rules();
      text_.clear();
      seen_ = {};
      return;
    }
    const std::array<long long, 4> now = {static_cast<long long>(info.st_ino), static_cast<long long>(info.st_size),
                                          info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    const bool young = std::time(nullptr) - info.st_mtim.tv_sec < 2;
    if (now == seen_ && !young) return;
    seen_ = now;
    std::ifstream file(path_);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (text == text_) return;
    control_ = Rules(text);
    text_ = std::move(text);
  }

  std::mutex mutex_;
  Rules environment_{fromEnvironment("KVO_FAKE_FAULTS")};
  const std::string path_ = fromEnvironment("KVO_FAKE_CONTROL");
  Rules control_;
  std::string text_;
  std::array<long long, 4> seen_{};
};

Faults& faults() {
  static Faults& all = *new Faults();
  return all;
}

}  // namespace

Fault nextFault(const char* call) { return faults().next(call); }

bool isAbsent(const char* call) { return faults().isAbsent(call); }

long long setting(const char* name, long long otherwise) {
  const std::string text = fromEnvironment(name);
  return text.empty() ? otherwise : number(text, name);
}

}  // namespace kvo::fake
