// A libcufile for machines without a GPU, for the functions that native/shim/cufile.h binds. Its device memory is the
// fake CUDA's, which is looked for beside this library.
//
// It is stricter than the real one where that is known to go wrong silently: buffers must be deregistered before their
// memory is freed, a file stay open until its handle is deregistered, nothing be taken away from I/O under way. Each of
// those is a violation (report.h). Settings, read from the environment:
//   KVO_FAKE_CUFILE_VERSION=N   what cuFileGetVersion says (default 1150); below 1150 there are no counters, from 1190 on
//                               they lie elsewhere
//   KVO_FAKE_PATH=p2p|nvfs|posix   which way the counters say that the bytes went (default p2p)
//   KVO_FAKE_STRICT=1           compat mode is not allowed: properties say so
//   KVO_FAKE_FAULTS, KVO_FAKE_CONTROL, KVO_FAKE_REPORT   faults.h, report.h
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "counters.h"
#include "cufile_state.h"
#include "exports.h"
#include "report.h"

namespace kvo::fake {
namespace {

ssize_t writeFile(CuFileHandle handle, const void* base, size_t bytes, off_t file_offset, off_t base_offset) {
  return transfer(false, handle, base, bytes, file_offset, base_offset);
}

// At level 3 a thread of the real one's writes into memory that the stop unmaps, and crashes then; below, it has left that
// memory alone some moments later (1.15 and 1.16).
constexpr std::chrono::milliseconds kMoment{40};
std::atomic<std::chrono::steady_clock::time_point> lowered_at{};

CuFileError setStatsLevel(int level) {
  return call("setStatsLevel", true, [&](const Fault&) {
    if (level < 0 || level > 3) return kInvalidValue;
    if (state().stats_level == 3 && level < 3) lowered_at = std::chrono::steady_clock::now();
    state().stats_level = level;
    return 0;
  });
}

CuFileError startStats() {
  return call("startStats", true, [&](const Fault&) {
    if (state().stats_level == 0) return kInvalidValue;
    state().are_stats_on = true;
    return 0;
  });
}

CuFileError stopStats() {
  return call("stopStats", true, [&](const Fault&) {
    if (state().stats_level == 0 || !state().are_stats_on) return 0;
    const std::chrono::steady_clock::duration since = std::chrono::steady_clock::now() - lowered_at.load();
    if (state().stats_level == 3 || since < kMoment) violation("cuFile's counting was stopped while its thread wrote");
    state().are_stats_on = false;
    state().stats_level = 0;
    return 0;
  });
}

__attribute__((destructor)) void atEnd() {
  if (state().are_stats_on && state().stats_level == 3) violation("the process ended while cuFile's thread wrote");
}

int version() { return static_cast<int>(setting("KVO_FAKE_CUFILE_VERSION", 1150)); }

// As the real ones do: only as many GPUs as there are.
CuFileError giveStats(void* stats) {
  return call("stats", true, [&](const Fault&) {
    if (state().stats_level < 3 || !state().are_stats_on) return kInvalidValue;
    const size_t below = version() < 1190 ? 1024 : 1136;
    const auto gpus = static_cast<unsigned>(bridge()->deviceCount());
    auto* const at = static_cast<unsigned char*>(stats);
    std::memset(at, 1, below);
    std::memcpy(at + below, &gpus, sizeof gpus);
    std::memcpy(at + below + 8, state().gpu_stats, gpus * sizeof(CuFileGpuStats));
    return 0;
  });
}

CuFileError giveVersion(int* to) {
  return call("version", false, [&](const Fault&) {
    *to = version();
    return 0;
  });
}

}  // namespace

// 1.14 and older have no counters of level 3.
extern "C" decltype(&giveStats) kvoFakeResolveStats() {
  return isAbsent("stats") || version() < 1150 ? nullptr : &giveStats;
}
KVO_FAKE_API decltype(giveStats) cuFileGetStatsL3 __attribute__((ifunc("kvoFakeResolveStats")));
KVO_FAKE_MAY_BE_ABSENT(cuFileSetStatsLevel, "setStatsLevel", setStatsLevel);
KVO_FAKE_MAY_BE_ABSENT(cuFileStatsStart, "startStats", startStats);
KVO_FAKE_MAY_BE_ABSENT(cuFileStatsStop, "stopStats", stopStats);
KVO_FAKE_MAY_BE_ABSENT(cuFileGetVersion, "version", giveVersion);
KVO_FAKE_MAY_BE_ABSENT(cuFileWrite, "write", writeFile);

KVO_FAKE_API ssize_t cuFileRead(CuFileHandle handle, void* base, size_t bytes, off_t file_offset, off_t base_offset) {
  return transfer(true, handle, base, bytes, file_offset, base_offset);
}

KVO_FAKE_API CuFileError cuFileDriverOpen() {
  return call("openDriver", false, [](const Fault&) {
    if (bridge() == nullptr || bridge()->deviceCount() == 0) return kSetupError;
    bridge()->onFree(&freed);
    ++state().opens;
    count(Counter::kDriverOpens);
    return 0;
  });
}

KVO_FAKE_API CuFileError cuFileDriverClose_v2() {
  return call("closeDriver", false, [](const Fault& fault) {
    if (state().opens == 0) {
      if (fault.crash) misused("cuFile's driver closed twice");
      return kNotOpen;
    }
    count(Counter::kDriverOpens, -1);
    if (--state().opens > 0) return 0;
    if (!state().under_way.empty()) violation("cuFile's driver closed during I/O");
    if (!state().buffers.empty()) violation("cuFile's driver closed with buffers registered");
    if (!state().files.all().empty()) violation("cuFile's driver closed with handles registered");
    state().are_stats_on = false;
    return 0;
  });
}

KVO_FAKE_API CuFileError cuFileDriverGetProperties(CuFileProperties* properties) {
  return call("properties", true, [&](const Fault&) {
    *properties = {};
    properties->nvfs.major_version = 2;
    properties->nvfs.minor_version = 28;
    properties->nvfs.poll_threshold = 4;
    properties->nvfs.max_direct_io = 16384;
    properties->nvfs.status_flags = 1U << 1;  // WekaFS
    properties->nvfs.control_flags = setting("KVO_FAKE_STRICT", 0) == 1 ? 0 : kCuFileAllowsCompat;
    properties->max_device_cache = 131072;
    properties->per_buffer_cache = 1024;
    properties->max_pinned_memory = 33554432;
    properties->max_batch_io = 128;
    return 0;
  });
}

KVO_FAKE_API CuFileError cuFileHandleRegister(CuFileHandle* handle, CuFileDescription* description) {
  return call("registerHandle", true, [&](const Fault&) {
    if (handle == nullptr || description == nullptr || description->type != 1) return kInvalidValue;
    File file;
    if (const int wrong = checkedFile(description->fd, file); wrong != 0) return wrong;
    for (const auto& [known, other] : state().files.all()) {
      if (other->fd != file.fd) continue;
      if (!isOther(*other)) return kHandleAlreadyRegistered;
      violation("a file was closed before its cuFile handle was deregistered");
    }
    *handle = state().files.add(std::make_shared<File>(file));
    count(Counter::kHandles);
    return 0;
  });
}

KVO_FAKE_API void cuFileHandleDeregister(CuFileHandle handle) {
  (void)call("deregisterHandle", false, [&](const Fault&) {
    if (state().isUnderWay(handle)) violation("a cuFile handle deregistered during its I/O");
    const auto file = state().files.take(handle);
    if (!file) return kHandleNotRegistered;
    if (isOther(*file)) violation("a file was closed before its cuFile handle was deregistered");
    count(Counter::kHandles, -1);
    return 0;
  });
}

KVO_FAKE_API CuFileError cuFileBufRegister(const void* base, size_t bytes, int flags) {
  return call("registerBuffer", true, [&](const Fault& fault) {
    if (const int refused = fault.refuses(bytes, kPinningFailed); refused != 0) return refused;
    if (bytes == 0 || flags != 0) return kInvalidValue;
    const auto start = reinterpret_cast<uint64_t>(base);
    if (const int wrong = checkedMemory(start, start, bytes); wrong != 0) return wrong;
    for (const auto& [other, registered] : state().buffers) {
      if (other < start + bytes && start < other + registered.bytes) return kAlreadyRegistered;
    }
    state().buffers[start] = {bytes, bridge()->currentDevice()};
    count(Counter::kBuffers);
    count(Counter::kBufferBytes, static_cast<long long>(bytes));
    return 0;
  });
}

KVO_FAKE_API CuFileError cuFileBufDeregister(const void* base) {
  return call("deregisterBuffer", true, [&](const Fault&) {
    const auto found = state().buffers.find(reinterpret_cast<uint64_t>(base));
    if (found == state().buffers.end()) return kNotRegistered;
    if (state().isUnderWay(found->first, found->second.bytes)) violation("a buffer deregistered during cuFile I/O");
    count(Counter::kBuffers, -1);
    count(Counter::kBufferBytes, -static_cast<long long>(found->second.bytes));
    state().buffers.erase(found);
    return 0;
  });
}

KVO_FAKE_IS(cuFileDriverOpen, CuFile::openDriver);
KVO_FAKE_IS(cuFileDriverClose_v2, CuFile::closeDriver);
KVO_FAKE_IS(cuFileDriverGetProperties, CuFile::properties);
KVO_FAKE_IS(cuFileHandleRegister, CuFile::registerHandle);
KVO_FAKE_IS(cuFileHandleDeregister, CuFile::deregisterHandle);
KVO_FAKE_IS(cuFileBufRegister, CuFile::registerBuffer);
KVO_FAKE_IS(cuFileBufDeregister, CuFile::deregisterBuffer);
KVO_FAKE_IS(cuFileRead, CuFile::read);
KVO_FAKE_IS(cuFileWrite, CuFile::write);
KVO_FAKE_IS(cuFileSetStatsLevel, CuFile::setStatsLevel);
KVO_FAKE_IS(cuFileStatsStart, CuFile::startStats);
KVO_FAKE_IS(cuFileStatsStop, CuFile::stopStats);
KVO_FAKE_IS(cuFileGetStatsL3, CuFile::stats);

}  // namespace kvo::fake
