#include "cufile.h"

#include <cstring>
#include <map>
#include <mutex>

#include "library.h"

namespace kvo {
namespace {

std::string bindAll(const Library& library, CuFile& cufile) {
  std::string missing;
  const auto bind = [&](const char* symbol, auto& function) {
    if (!library.bind(symbol, function)) missing += missing.empty() ? symbol : std::string(", ") + symbol;
  };
  bind("cuFileDriverOpen", cufile.openDriver);
  if (!library.bind("cuFileDriverClose_v2", cufile.closeDriver)) bind("cuFileDriverClose", cufile.closeDriver);
  bind("cuFileDriverGetProperties", cufile.properties);
  bind("cuFileHandleRegister", cufile.registerHandle);
  bind("cuFileHandleDeregister", cufile.deregisterHandle);
  bind("cuFileBufRegister", cufile.registerBuffer);
  bind("cuFileBufDeregister", cufile.deregisterBuffer);
  bind("cuFileRead", cufile.read);
  bind("cuFileWrite", cufile.write);
  return missing;
}

struct Name {
  int code;
  const char* name;
};
constexpr Name kNames[] = {
    {5001, "DRIVER_NOT_INITIALIZED"},
    {5002, "DRIVER_INVALID_PROPS"},
    {5003, "DRIVER_UNSUPPORTED_LIMIT"},
    {5004, "DRIVER_VERSION_MISMATCH"},
    {5005, "DRIVER_VERSION_READ_ERROR"},
    {5006, "DRIVER_CLOSING"},
    {5007, "PLATFORM_NOT_SUPPORTED"},
    {5008, "IO_NOT_SUPPORTED"},
    {5009, "DEVICE_NOT_SUPPORTED"},
    {5010, "NVFS_DRIVER_ERROR"},
    {5011, "CUDA_DRIVER_ERROR"},
    {5012, "CUDA_POINTER_INVALID"},
    {5013, "CUDA_MEMORY_TYPE_INVALID"},
    {5014, "CUDA_POINTER_RANGE_ERROR"},
    {5015, "CUDA_CONTEXT_MISMATCH"},
    {5016, "INVALID_MAPPING_SIZE"},
    {5017, "INVALID_MAPPING_RANGE"},
    {5018, "INVALID_FILE_TYPE"},
    {5019, "INVALID_FILE_OPEN_FLAG"},
    {5020, "DIO_NOT_SET"},
    {5022, "INVALID_VALUE"},
    {5023, "MEMORY_ALREADY_REGISTERED"},
    {5024, "MEMORY_NOT_REGISTERED"},
    {5025, "PERMISSION_DENIED"},
    {5026, "DRIVER_ALREADY_OPEN"},
    {5027, "HANDLE_NOT_REGISTERED"},
    {5028, "HANDLE_ALREADY_REGISTERED"},
    {5029, "DEVICE_NOT_FOUND"},
    {5030, "INTERNAL_ERROR"},
    {5031, "GETNEWFD_FAILED"},
    {5033, "NVFS_SETUP_ERROR"},
    {5034, "IO_DISABLED"},
    {5035, "BATCH_SUBMIT_FAILED"},
    {5036, "GPU_MEMORY_PINNING_FAILED"},
    {5037, "BATCH_FULL"},
    {5038, "ASYNC_NOT_SUPPORTED"},
    {5039, "INTERNAL_BATCH_SETUP_ERROR"},
    {5040, "INTERNAL_BATCH_SUBMIT_ERROR"},
    {5041, "INTERNAL_BATCH_GETSTATUS_ERROR"},
    {5042, "INTERNAL_BATCH_CANCEL_ERROR"},
    {5043, "NOMEM_ERROR"},
    {5044, "IO_ERROR"},
    {5045, "INTERNAL_BUF_REGISTER_ERROR"},
    {5046, "HASH_OPR_ERROR"},
    {5047, "INVALID_CONTEXT_ERROR"},
    {5048, "NVFS_INTERNAL_DRIVER_ERROR"},
    {5049, "BATCH_NOCOMPAT_ERROR"},
    {5050, "IO_MAX_ERROR"},
};

}  // namespace

std::shared_ptr<const CuFile> CuFile::load(const std::string& path, std::string& why) {
  static std::mutex mutex;
  // Never emptied: a loaded library stays.
  static auto& loaded = *new std::map<std::string, std::shared_ptr<const CuFile>>();
  const std::lock_guard lock(mutex);
  if (const auto found = loaded.find(path); found != loaded.end()) return found->second;
  Library library;
  why = library.open(path, {"libcufile.so.0", "libcufile.so"});
  if (!why.empty()) return nullptr;
  auto cufile = std::make_shared<CuFile>();
  const std::string missing = bindAll(library, *cufile);
  if (!missing.empty()) {
    why = library.path() + " lacks " + missing;
    return nullptr;
  }
  (void)library.bind("cuFileSetStatsLevel", cufile->setStatsLevel);
  (void)library.bind("cuFileStatsStart", cufile->startStats);
  (void)library.bind("cuFileStatsStop", cufile->stopStats);
  (void)library.bind("cuFileGetStatsL3", cufile->stats);
  CuFileError (*version)(int*) = nullptr;
  if (library.bind("cuFileGetVersion", version) && version(&cufile->version).error != 0) cufile->version = 0;
  cufile->path = library.path();
  loaded.emplace(path, cufile);
  return cufile;
}

bool CuFile::readGpuStats(std::vector<CuFileGpuStats>& gpus) const {
  // How much is written tells where the GPUs' part begins, since it ends with that.
  constexpr unsigned char kUnwritten = 0xa5;
  std::vector<unsigned char> all(kCuFileStatsRoom, kUnwritten);
  if (stats == nullptr || stats(all.data()).error != 0) return false;
  size_t end = all.size();
  while (end > 0 && all[end - 1] == kUnwritten) --end;
  for (unsigned written = 1; written <= kCuFileMostGpus; ++written) {
    const size_t bytes = 8 + written * sizeof(CuFileGpuStats);
    if (end < bytes) return false;
    unsigned count = 0;
    std::memcpy(&count, &all[end - bytes], sizeof count);
    // As many as there are, or room for the most.
    const bool fits = count == written || (written == kCuFileMostGpus && count > 0 && count < written);
    if (!fits) continue;
    gpus.resize(count);
    std::memcpy(gpus.data(), &all[end - bytes + 8], count * sizeof(CuFileGpuStats));
    return true;
  }
  return false;
}

const char* CuFile::nameOf(int code) {
  for (const Name& name : kNames) {
    if (name.code == code) return name.name;
  }
  return "";
}

}  // namespace kvo
