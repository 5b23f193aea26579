// The fake cuFile: what it refuses, what it counts and what it reports.
#include "check.h"
#include "fakes_rig.h"

using namespace kvo;
using fakes::control;
using fakes::counter;
using fakes::Rig;

namespace {

constexpr size_t kBytes = 1 << 20;

// A rig with the driver open and one file, registered, of kBytes of 'f'.
class GdsRig : public Rig {
 public:
  GdsRig() {
    std::string why;
    cufile = CuFile::load(KVO_FAKE_CUFILE, why);
    if (!cufile) check::fail(__FILE__, __LINE__, why);
    std::ofstream(path) << std::string(kBytes, 'f');
    fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    CHECK_EQ(cufile->openDriver().error, 0);
    handle = registerFile(fd, 0);
  }
  ~GdsRig() {
    control("");
    cufile->deregisterHandle(handle);
    ::close(fd);
    (void)cufile->closeDriver();
  }

  CuFileHandle registerFile(int file, int error) const {
    CuFileHandle made = nullptr;
    CuFileDescription description;
    description.fd = file;
    CHECK_EQ(cufile->registerHandle(&made, &description).error, error);
    return made;
  }

  int registerBuffer(CudaAddress base, size_t bytes) const {
    return cufile->registerBuffer(pointer(base), bytes, 0).error;
  }
  int deregisterBuffer(CudaAddress base) const { return cufile->deregisterBuffer(pointer(base)).error; }

  ssize_t read(CudaAddress base, size_t bytes, off_t file_offset = 0, off_t base_offset = 0) const {
    return cufile->read(handle, pointer(base), bytes, file_offset, base_offset);
  }
  ssize_t write(CudaAddress base, size_t bytes, off_t file_offset = 0, off_t base_offset = 0) const {
    return cufile->write(handle, pointer(base), bytes, file_offset, base_offset);
  }

  static void* pointer(CudaAddress address) {
    return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
  }

  std::shared_ptr<const CuFile> cufile;
  const std::string path = fakes::folder().path + "/data";
  int fd = -1;
  mutable CuFileHandle handle = nullptr;
};

CuFileGpuStats statsOf(const GdsRig& rig, size_t gpu) {
  std::vector<CuFileGpuStats> gpus;
  CHECK(rig.cufile->readGpuStats(gpus));
  CHECK_EQ(gpus.size(), 2U);
  return gpus[gpu];
}

}  // namespace

TEST(bytesGoBetweenFileAndDevice) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  CHECK_EQ(rig.registerBuffer(device, kBytes), 0);
  CHECK_EQ(rig.read(device, 8192, 4096, 4096), 8192);
  CHECK(rig.bytes(device, 16384) == std::string(4096, 'd') + std::string(8192, 'f') + std::string(4096, 'd'));
  CHECK_EQ(rig.write(device, 4096, 0, 0), 4096);
  CHECK(fakes::contentOf(rig.path) == std::string(4096, 'd') + std::string(kBytes - 4096, 'f'));
  CHECK_EQ(rig.read(device, kBytes, kBytes - 100), 100);
  CHECK_EQ(rig.deregisterBuffer(device), 0);
}

TEST(theDriverMustBeOpen) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  rig.cufile->deregisterHandle(rig.handle);
  CHECK_EQ(rig.cufile->closeDriver().error, 0);
  CHECK_EQ(rig.cufile->closeDriver().error, 5001);
  CHECK_EQ(rig.registerBuffer(device, kBytes), 5001);
  CHECK_EQ(rig.read(device, 4096), -5001);
  CuFileProperties properties{};
  CHECK_EQ(rig.cufile->properties(&properties).error, 5001);
  (void)rig.registerFile(rig.fd, 5001);
  control("closeDriver:crash");
  CHECK_EQ(fakes::died([&] { (void)rig.cufile->closeDriver(); }), SIGABRT);
  CHECK_EQ(rig.cufile->openDriver().error, 0);
  CHECK(fakes::reported().empty());
  // For the rig to give back.
  rig.handle = rig.registerFile(rig.fd, 0);
}

TEST(filesOpenedWronglyAreRefused) {
  const GdsRig rig;
  for (const int flag : {O_APPEND, O_NOFOLLOW, O_NONBLOCK}) {
    const int fd = ::open(rig.path.c_str(), O_RDWR | O_CLOEXEC | flag);
    check::about() = "flag " + std::to_string(flag);
    CHECK(rig.registerFile(fd, 5019) == nullptr);
    ::close(fd);
  }
  check::about().clear();
  const int directory = ::open(fakes::folder().path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(rig.registerFile(directory, 5019) == nullptr);
  ::close(directory);
  CHECK(rig.registerFile(-1, 5022) == nullptr);
  CHECK(rig.registerFile(rig.fd, 5028) == nullptr);
}

TEST(memoryIsInspected) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  const CudaAddress other = rig.allocate(kBytes, 'o', 1);
  std::string host(4096, 'h');
  CHECK_EQ(rig.read(reinterpret_cast<CudaAddress>(host.data()), 4096), -5013);
  CHECK_EQ(rig.read(0, 4096), -5012);
  CHECK_EQ(rig.read(other, 4096), -5015);
  CHECK_EQ(rig.registerBuffer(other, kBytes), 5015);
  CHECK_EQ(rig.read(device, 4096, -1), -5022);
  CHECK_EQ(fakes::reported(), "");
  CHECK_EQ(rig.read(device, 4096, 0, kBytes - 4095), -5014);
  CHECK_EQ(rig.registerBuffer(device, kBytes + 1), 5014);
  CHECK(fakes::reported().find("outside an allocation") != std::string::npos);
  CHECK_EQ(rig.cuda->setContext(nullptr), 0);
  CHECK_EQ(rig.read(device, 4096), -5047);
  CHECK_EQ(rig.registerBuffer(device, kBytes), 5047);
  rig.makeCurrent(0);
}

TEST(buffersAreRegisteredOnceAndPartsAreNot) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  CHECK_EQ(rig.deregisterBuffer(device), 5024);
  CHECK_EQ(rig.registerBuffer(device, kBytes / 2), 0);
  CHECK_EQ(rig.registerBuffer(device, kBytes / 2), 5023);
  CHECK_EQ(rig.registerBuffer(device + kBytes / 2, kBytes / 2), 0);
  const long long before = counter("cufile", "unregistered");
  CHECK_EQ(rig.read(device, 4096, 0, 4096), 4096);
  CHECK_EQ(counter("cufile", "unregistered"), before);
  CHECK_EQ(rig.read(device + 4096, 4096), 4096);  // an interior pointer
  CHECK_EQ(counter("cufile", "unregistered"), before + 1);
  CHECK_EQ(rig.read(device, 4096, 0, kBytes / 2), -5017);
  CHECK_EQ(counter("cufile", "buffers"), 2);
  CHECK_EQ(rig.deregisterBuffer(device), 0);
  CHECK_EQ(rig.deregisterBuffer(device + kBytes / 2), 0);
  CHECK_EQ(counter("cufile", "bufferBytes"), 0);
}

TEST(whatIsFreedTooEarlyIsReported) {
  const GdsRig rig;
  CudaAddress device = 0;
  CHECK_EQ(rig.cuda->allocate(&device, kBytes), 0);
  CHECK_EQ(rig.registerBuffer(device, kBytes), 0);
  CHECK_EQ(rig.cuda->free(device), 0);
  CHECK(fakes::reported().find("freed while registered") != std::string::npos);
  CHECK_EQ(rig.read(device, 4096), -5012);
  CHECK(fakes::reported().find("cuFile given freed memory") != std::string::npos);
}

TEST(aFileClosedBeforeItsHandleIsReported) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  const int fd = ::open(rig.path.c_str(), O_RDONLY | O_CLOEXEC);
  const CuFileHandle handle = rig.registerFile(fd, 0);
  ::close(fd);
  CHECK_EQ(rig.cufile->read(handle, GdsRig::pointer(device), 4096, 0, 0), -5027);
  CHECK(fakes::reported().find("closed before its handle") != std::string::npos);
  rig.cufile->deregisterHandle(handle);
  CHECK(fakes::reported().find("closed before its cuFile handle") != std::string::npos);
  CHECK_EQ(rig.cufile->read(handle, GdsRig::pointer(device), 4096, 0, 0), -5027);
  CHECK(fakes::reported().find("a cuFile handle used after its end") != std::string::npos);
}

TEST(theFourWaysToFailAreToldApart) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  control("read:5008@1x1;read:EIO@2x1;read:short=512@3x1;read:eof@4x1;registerHandle:5030;openDriver:5011=2");
  CHECK_EQ(rig.read(device, 4096), -5008);
  errno = 0;
  CHECK_EQ(rig.read(device, 4096), -1);
  CHECK_EQ(errno, EIO);
  CHECK_EQ(rig.read(device, 4096), 512);
  CHECK_EQ(rig.read(device, 4096), 0);
  CHECK_EQ(rig.read(device, 4096), 4096);
  (void)rig.registerFile(rig.fd, 5030);
  const CuFileError error = rig.cufile->openDriver();
  CHECK_EQ(error.error, 5011);
  CHECK_EQ(error.cuda, 2);
  // A real errno: the file is not open for writing.
  const int fd = ::open(rig.path.c_str(), O_RDONLY | O_CLOEXEC);
  control("");
  const CuFileHandle handle = rig.registerFile(fd, 0);
  CHECK_EQ(rig.cufile->write(handle, GdsRig::pointer(device), 4096, 0, 0), -1);
  CHECK_EQ(errno, EBADF);
  rig.cufile->deregisterHandle(handle);
  ::close(fd);
}

TEST(largeBuffersAreRefusedOnRequest) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(32 << 20, 'd');
  control("registerBuffer:above=16");
  CHECK_EQ(rig.registerBuffer(device, 32 << 20), 5036);
  CHECK_EQ(rig.registerBuffer(device, 16 << 20), 0);
  CHECK_EQ(rig.registerBuffer(device + (16 << 20), 16 << 20), 0);
  CHECK_EQ(rig.deregisterBuffer(device), 0);
  CHECK_EQ(rig.deregisterBuffer(device + (16 << 20)), 0);
}

TEST(theCountersSayWhichWayTheBytesWent) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  std::vector<CuFileGpuStats> none;
  CHECK(!rig.cufile->readGpuStats(none));
  CHECK(none.empty());
  CHECK_EQ(rig.cufile->setStatsLevel(3).error, 0);
  CHECK_EQ(rig.cufile->startStats().error, 0);
  control("read:posix@2x1;write:EIO");
  CHECK_EQ(rig.read(device, 4096), 4096);
  CHECK_EQ(rig.read(device, 4097), 4097);
  CHECK_EQ(rig.write(device, 4096), -1);
  const CuFileGpuStats gpu = statsOf(rig, 0);
  CHECK_EQ(gpu.read_total, 2U);
  CHECK_EQ(gpu.read_bytes, 4096U + 4097U);
  CHECK_EQ(gpu.write_bytes, 0U);
  CHECK_EQ(gpu.read_p2p, 1U);
  CHECK_EQ(gpu.read_posix, 1U);
  CHECK_EQ(gpu.read_unaligned, 1U);
  CHECK_EQ(gpu.write_total, 0U);
  CHECK_EQ(gpu.write_errors, 1U);
  CHECK_EQ(statsOf(rig, 1).read_total, 0U);
  CHECK_EQ(rig.cufile->version, 1150);
}

TEST(aHungReadHoldsWhatItUses) {
  const GdsRig rig;
  const CudaAddress device = rig.allocate(kBytes, 'd');
  CHECK_EQ(rig.registerBuffer(device, kBytes), 0);
  control("read:hang");
  std::atomic<ssize_t> result{0};
  std::thread reader([&] {
    rig.makeCurrent(0);
    result = rig.read(device, 4096);
  });
  while (counter("cufile", "underWay") == 0) std::this_thread::yield();
  CHECK_EQ(rig.deregisterBuffer(device), 0);
  CHECK(fakes::reported().find("deregistered during cuFile I/O") != std::string::npos);
  CHECK_EQ(result.load(), 0);
  control("");
  reader.join();
  CHECK_EQ(result.load(), 4096);
}

TEST(nothingOfCuFileIsLeftBehind) {
  { const GdsRig rig; }
  for (const char* name : {"drivers", "handles", "buffers", "underWay"}) {
    check::about() = name;
    CHECK_EQ(counter("cufile", name), 0);
  }
}
