#include "gds.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace kvo {
namespace {

constexpr size_t kPiece = size_t{16} << 20;

Failure failureOf(const char* call, CuFileError error) {
  std::string text = CuFile::nameOf(error.error);
  if (error.error == 5011) text += ", CUDA error " + std::to_string(error.cuda);
  return {call, error.error, std::move(text)};
}

// What another registration, larger or smaller, might get past.
bool worthPieces(int code) { return code == 5036 || code == 5022 || code == 5016 || code == 5010; }

// cuFile reads these when its driver opens. What the user has set stands.
void setIfAbsent(const char* name, const std::string& value) {
  if (!value.empty()) (void)setenv(name, value.c_str(), 0);
}

void* pointer(CudaAddress address) { return reinterpret_cast<void*>(address); }

// Never emptied, as drivers are never closed.
std::map<std::string, std::shared_ptr<Gds>>& drivers() {
  static auto& opened = *new std::map<std::string, std::shared_ptr<Gds>>();
  return opened;
}
std::mutex drivers_mutex;
// While a driver opens, which may be for ever, the mutex is free.
bool driver_opens = false;
std::condition_variable driver_opened;

ssize_t answerOf(ssize_t result, int error) { return result == -1 ? -static_cast<ssize_t>(error) : result; }

}  // namespace

std::shared_ptr<Gds> Gds::open(const GdsOptions& options, std::shared_ptr<Device> device, Failure& why) {
  struct Opening {
    std::promise<void> done;
    std::shared_ptr<Gds> gds;
    Failure why;
  };
  // Another thread's, so that one that never comes back keeps nobody else.
  const auto opening = std::make_shared<Opening>();
  std::future<void> done = opening->done.get_future();
  try {
    std::thread([opening, options, device = std::move(device)] {
      const Device::Scope scope(*device);
      opening->gds = openNow(options, device, opening->why);
      opening->done.set_value();
    }).detach();
  } catch (const std::system_error&) {
    why = {"cuFileDriverOpen", 0, "the system has no more threads"};
    return nullptr;
  }
  if (done.wait_for(options.timeout) != std::future_status::ready) {
    why = {"cuFileDriverOpen", 0, "no answer within " + std::to_string(options.timeout.count()) + " ms"};
    return nullptr;
  }
  why = opening->why;
  return opening->gds;
}

std::shared_ptr<Gds> Gds::openNow(const GdsOptions& options, std::shared_ptr<Device> device, Failure& why) {
  std::unique_lock lock(drivers_mutex);
  if (!driver_opened.wait_for(lock, options.timeout, [] { return !driver_opens; })) {
    why = {"cuFileDriverOpen", 0, "an earlier call has not come back"};
    return nullptr;
  }
  if (const auto found = drivers().find(options.library); found != drivers().end()) {
    found->second->devices_.emplace(device->index, std::move(device));
    return found->second;
  }
  driver_opens = true;
  lock.unlock();
  std::shared_ptr<Gds> gds = openDriver(options, why);
  lock.lock();
  driver_opens = false;
  driver_opened.notify_all();
  if (gds == nullptr) return nullptr;
  gds->devices_.emplace(device->index, std::move(device));
  drivers().emplace(options.library, gds);
  // Before cuFile's own, since it is registered later. Runs where no cleanup hook of Node's does: process.exit.
  std::atexit([] {
    const std::lock_guard at_exit(drivers_mutex);
    for (const auto& [library, one] : drivers()) one->comeToRest();
  });
  return gds;
}

std::shared_ptr<Gds> Gds::openDriver(const GdsOptions& options, Failure& why) {
  setIfAbsent("CUFILE_LOGFILE_PATH", options.log);
  setIfAbsent("CUFILE_ENV_PATH_JSON", options.configuration);
  std::string text;
  std::shared_ptr<const CuFile> cufile = CuFile::load(options.library, text);
  if (cufile == nullptr) {
    why = {"dlopen", 0, text};
    return nullptr;
  }
  const CuFileError error = cufile->openDriver();
  if (error.error != 0) {
    why = failureOf("cuFileDriverOpen", error);
    return nullptr;
  }
  return std::shared_ptr<Gds>(new Gds(std::move(cufile)));
}

Gds::Gds(std::shared_ptr<const CuFile> library) : cufile(*library), library_(std::move(library)) {
  CuFileProperties properties{};
  if (cufile.properties(&properties).error == 0) {
    allows_compat = (properties.nvfs.control_flags & kCuFileAllowsCompat) != 0;
    max_pinned_bytes = size_t{properties.max_pinned_memory} * 1024;
  }
  counts_ = cufile.setStatsLevel != nullptr && cufile.startStats != nullptr && cufile.stats != nullptr;
}

void Gds::beginUse() {
  const std::lock_guard lock(users_mutex_);
  ++users_;
  if (counting_ || !counts_) return;
  // The stop has put the level to 0.
  counts_ = cufile.setStatsLevel(3).error == 0 && cufile.startStats().error == 0;
  counting_ = counts_;
}

void Gds::endUse() {
  const std::lock_guard lock(users_mutex_);
  --users_;
}

// users_mutex_ is held. At level 3 a thread of cuFile's writes into shared memory once a millisecond, and goes on while the
// stop unmaps it: a crash (1.15 and 1.16, where cufile.json has max_io_threads above 1, as CUDA's own has). Below level 3
// it leaves that memory alone. At level 0 the stop would do nothing.
void Gds::stopCounting(bool and_unmap) {
  if (!counting_ || cufile.stopStats == nullptr) return;
  counting_ = false;
  (void)cufile.setStatsLevel(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (and_unmap) (void)cufile.stopStats();
}

void Gds::restUnused() {
  const std::lock_guard lock(drivers_mutex);
  for (const auto& [library, gds] : drivers()) {
    const std::lock_guard users_lock(gds->users_mutex_);
    if (gds->users_ == 0) gds->stopCounting(true);
  }
}

void Gds::comeToRest() {
  // What hangs is not waited for, and has what it counts in.
  const bool rests = running_.try_lock_for(std::chrono::seconds(2));
  std::unique_lock lock(users_mutex_, std::defer_lock);
  if (rests) lock.lock();
  else if (!lock.try_lock()) return;
  stopCounting(rests);
}

Gds::Registered Gds::registerMemory(CudaAddress base, size_t bytes, Failure& why) {
  const auto add = [this](CudaAddress at, size_t length) {
    const std::lock_guard lock(mutex_);
    registered_.emplace(at, length);
  };
  const std::shared_lock running(running_);
  CuFileError error = cufile.registerBuffer(pointer(base), bytes, 0);
  if (error.error == 0) {
    add(base, bytes);
    return Registered::kWhole;
  }
  why = failureOf("cuFileBufRegister", error);
  if (!worthPieces(error.error) || bytes <= kPiece) return Registered::kNot;
  for (size_t at = 0; at < bytes; at += kPiece) {
    const size_t length = std::min(kPiece, bytes - at);
    error = cufile.registerBuffer(pointer(base + at), length, 0);
    if (error.error != 0) {
      why = failureOf("cuFileBufRegister", error);
      deregisterAll(base, bytes);
      return Registered::kNot;
    }
    add(base + at, length);
  }
  return Registered::kPieces;
}

void Gds::deregisterMemory(CudaAddress base, size_t bytes) {
  const std::shared_lock running(running_);
  deregisterAll(base, bytes);
}

void Gds::deregisterAll(CudaAddress base, size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto at = registered_.lower_bound(base);
  while (at != registered_.end() && at->first < base + bytes) {
    (void)cufile.deregisterBuffer(pointer(at->first));
    at = registered_.erase(at);
  }
}

void Gds::deregisterFile(CuFileHandle handle) {
  const std::shared_lock running(running_);
  cufile.deregisterHandle(handle);
}

CuFileHandle Gds::registerFile(int fd, int& code) {
  const std::shared_lock running(running_);
  CuFileHandle handle = nullptr;
  CuFileDescription description;
  description.fd = fd;
  code = cufile.registerHandle(&handle, &description).error;
  return code == 0 ? handle : nullptr;
}

// An interior pointer would count as unregistered: the base, and an offset. What is not registered is its own base.
Gds::Place Gds::placeOf(CudaAddress address, size_t bytes) const {
  const std::shared_lock lock(mutex_);
  auto after = registered_.upper_bound(address);
  if (after != registered_.begin()) {
    const auto in = std::prev(after);
    const size_t offset = address - in->first;
    if (offset < in->second) return {in->first, offset, std::min(bytes, in->second - offset)};
  }
  return {address, 0, bytes};
}

ssize_t Gds::read(CuFileHandle handle, CudaAddress address, size_t bytes, off_t offset) {
  const std::shared_lock running(running_);
  const Place place = placeOf(address, bytes);
  errno = 0;
  const ssize_t result =
      cufile.read(handle, pointer(place.base), place.bytes, offset, static_cast<off_t>(place.offset));
  return answerOf(result, errno);
}

ssize_t Gds::write(CuFileHandle handle, CudaAddress address, size_t bytes, off_t offset) {
  const std::shared_lock running(running_);
  const Place place = placeOf(address, bytes);
  errno = 0;
  const ssize_t result =
      cufile.write(handle, pointer(place.base), place.bytes, offset, static_cast<off_t>(place.offset));
  return answerOf(result, errno);
}

bool Gds::counters(GdsCounters& out) const {
  if (!counts_) return false;
  const std::shared_lock running(running_);
  std::vector<CuFileGpuStats> gpus;
  if (!cufile.readGpuStats(gpus)) return false;
  for (const CuFileGpuStats& gpu : gpus) {
    out.bytes_read += gpu.read_bytes;
    out.bytes_written += gpu.write_bytes;
    out.read += gpu.read_total;
    out.read_direct += gpu.read_p2p + gpu.read_nvfs;
    out.read_posix += gpu.read_posix;
    out.written += gpu.write_total;
    out.written_direct += gpu.write_p2p + gpu.write_nvfs;
    out.written_posix += gpu.write_posix;
  }
  return true;
}

}  // namespace kvo
