// What the fakes read from their environment. Each case is a child, which alone loads them.
#include "check.h"
#include "fakes_rig.h"

using namespace kvo;

namespace {

using Settings = std::vector<std::pair<const char*, const char*>>;

// Of the child in which `body` runs, by waitpid.
int statusIn(const Settings& settings, const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& [name, value] : settings) ::setenv(name, value, 1);
    try {
      body();
    } catch (const check::Failed&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

void inChild(const Settings& settings, const std::function<void()>& body) { CHECK_EQ(statusIn(settings, body), 0); }

std::shared_ptr<const Cuda> loadCuda() {
  std::string why;
  auto cuda = Cuda::load(KVO_FAKE_CUDA, why);
  if (!cuda) check::fail(__FILE__, __LINE__, why);
  return cuda;
}

std::shared_ptr<const CuFile> loadCuFile() {
  std::string why;
  auto cufile = CuFile::load(KVO_FAKE_CUFILE, why);
  if (!cufile) check::fail(__FILE__, __LINE__, why);
  return cufile;
}

void useDevice(const Cuda& cuda) {
  CudaContext context = nullptr;
  CHECK_EQ(cuda.init(0), 0);
  CHECK_EQ(cuda.retainContext(&context, 0), 0);
  CHECK_EQ(cuda.setContext(context), 0);
}

}  // namespace

TEST(withoutADeviceBothSaySo) {
  inChild({{"KVO_FAKE_DEVICES", "0"}}, [] {
    CHECK_EQ(loadCuda()->init(0), 100);
    CHECK_EQ(loadCuFile()->openDriver().error, 5033);
  });
}

TEST(nothingGoesBeforeInit) {
  inChild({}, [] {
    int number = 0;
    CHECK_EQ(loadCuda()->deviceCount(&number), 3);
    CHECK_EQ(loadCuda()->driverVersion(&number), 0);
    CHECK_EQ(number, 12080);
  });
}

TEST(anOldDriverHasNoBatches) {
  inChild({{"KVO_FAKE_DRIVER_VERSION", "12040"}}, [] { CHECK(loadCuda()->copyBatch == nullptr); });
}

TEST(anOldCuFileHasNoCounters) {
  inChild({{"KVO_FAKE_CUFILE_VERSION", "1140"}}, [] {
    CHECK_EQ(loadCuFile()->version, 1140);
    CHECK(loadCuFile()->stats == nullptr);
  });
}

TEST(compatModeCanBeForbidden) {
  const auto flags = [] {
    CuFileProperties properties{};
    CHECK_EQ(loadCuFile()->openDriver().error, 0);
    CHECK_EQ(loadCuFile()->properties(&properties).error, 0);
    return properties.nvfs.control_flags & kCuFileAllowsCompat;
  };
  inChild({}, [&] { CHECK_EQ(flags(), kCuFileAllowsCompat); });
  inChild({{"KVO_FAKE_STRICT", "1"}}, [&] { CHECK_EQ(flags(), 0U); });
}

TEST(cuFileCanSilentlyGoByPosix) {
  const auto countedByPosix = [] {
    const auto cuda = loadCuda();
    const auto cufile = loadCuFile();
    useDevice(*cuda);
    CudaAddress device = 0;
    CHECK_EQ(cuda->allocate(&device, 4096), 0);
    CHECK_EQ(cufile->openDriver().error, 0);
    CHECK_EQ(cufile->setStatsLevel(3).error, 0);
    CHECK_EQ(cufile->startStats().error, 0);
    char name[] = "/tmp/kvo-fakes-XXXXXX";
    CuFileDescription description;
    description.fd = ::mkstemp(name);
    ::unlink(name);
    CuFileHandle handle = nullptr;
    CHECK_EQ(cufile->registerHandle(&handle, &description).error, 0);
    const void* const base = reinterpret_cast<void*>(device);  // NOLINT(performance-no-int-to-ptr)
    CHECK_EQ(cufile->write(handle, base, 4096, 0, 0), 4096);
    std::vector<CuFileGpuStats> gpus;
    CHECK(cufile->readGpuStats(gpus));
    CHECK_EQ(gpus.size(), 1U);
    CHECK_EQ(gpus[0].write_posix, 1U);
    CHECK_EQ(gpus[0].write_p2p, 0U);
  };
  inChild({{"KVO_FAKE_PATH", "posix"}}, countedByPosix);
  inChild({{"KVO_FAKE_PATH", "posix"}, {"KVO_FAKE_CUFILE_VERSION", "1200"}}, countedByPosix);
}

TEST(anApplicationsMemoryIsThere) {
  inChild({{"KVO_FAKE_LENT", "4096,8192"}}, [] {
    const auto cuda = loadCuda();
    useDevice(*cuda);
    const std::string lent = fakes::memfd("self", "kvo-fake-lent:0:");
    const std::string name = std::filesystem::read_symlink(lent).string();
    const CudaAddress address = std::stoull(name.substr(std::strlen("/memfd:kvo-fake-lent:0:")));
    size_t bytes = 0;
    CHECK_EQ(cuda->pointerAttribute(&bytes, kCudaPointerRangeSize, address), 0);
    CHECK(bytes == 4096 || bytes == 8192);
    std::ofstream(lent, std::ios::in | std::ios::out | std::ios::binary) << "from outside";
    char text[13] = "";
    CHECK_EQ(cuda->toHost(text, address, 12), 0);
    CHECK_EQ(std::string(text), "from outside");
    CHECK_EQ(fakes::counter("cuda", "deviceBlocks"), 2);
  });
}

TEST(faultsComeFromTheEnvironment) {
  inChild({{"KVO_FAKE_FAULTS", "init:100@1x1;read:EIO"}}, [] {
    CHECK_EQ(loadCuda()->init(0), 100);
    CHECK_EQ(loadCuda()->init(0), 0);
  });
}

TEST(aViolationAbortsWhereThereIsNoReport) {
  const int status = statusIn({{"KVO_FAKE_REPORT", ""}}, [] {
    const auto cuda = loadCuda();
    useDevice(*cuda);
    CudaAddress device = 0;
    CHECK_EQ(cuda->allocate(&device, 4096), 0);
    CHECK_EQ(cuda->free(device), 0);
    const int quiet = ::open("/dev/null", O_WRONLY);
    ::dup2(quiet, STDERR_FILENO);
    (void)cuda->free(device);
  });
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGABRT);
}
