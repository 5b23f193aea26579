// What the hardware gives without us: the plain loops that the library is measured against. One process, driven line
// by line, so that its runs can alternate with ours.
//
//   plain_io FILES BYTES THREADS BLOCK [direct] [depth=N]
//                   direct: with O_DIRECT, and BYTES a multiple of 4096; depth: files a call of store and load, all threads
//                   wait for the last of them (else all files in one)
//   > store DIR     writes FILES new files of 4096 + BYTES, BLOCK bytes a call, from FILES × BYTES of memory, into two
//                   levels of directories that are there, as chunks lie
//   > load DIR      reads them back into that memory
//   > stat PATHS    one stat for each path of a list (a file, a path a line)
//   > stats PATHS   the same, 20 times over, so that waking threads is lost in it; seconds of one time
//   > kept PATHS    opens them, then as often: fstat and one preadv of header and BYTES, as the engine's loads do
//   > publish PATHS writes each as the engine's stores do: stat, open beside it, pwritev of payload and of header,
//                   fstat, close, link, unlink, link of the sidecar
//   > headers DIR   finds every data file below DIR and reads its first 4096 bytes
// Each line answers with the seconds it took. Files are handed to threads one by one.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kHeader = 4096;
size_t files, bytes, threads, block, depth;
char* memory;
int direct = 0;

// Threads that wait between runs, as the engine's do: new ones would be scheduled otherwise on a busy machine.
class Pool {
 public:
  // Hands `count` indices to the threads, `step` at a time; the seconds until all are done.
  double run(size_t count, size_t step, const std::function<void(size_t)>& work) {
    while (pool_.size() < threads) pool_.emplace_back([this] { serve(); });
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    work_ = &work;
    count_ = count;
    step_ = step;
    next_ = 0;
    busy_ = pool_.size();
    ++round_;
    wake_.notify_all();
    done_.wait(lock, [this] { return busy_ == 0; });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  void serve() {
    size_t seen = 0;
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      lock.unlock();
      for (size_t first = next_.fetch_add(step_); first < count_; first = next_.fetch_add(step_)) {
        for (size_t index = first; index < std::min(first + step_, count_); ++index) (*work_)(index);
      }
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> pool_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(size_t)>* work_ = nullptr;
  size_t count_ = 0;
  size_t step_ = 0;
  std::atomic<size_t> next_{0};
  size_t busy_ = 0;
  size_t round_ = 0;
};

double timed(size_t count, size_t step, const std::function<void(size_t)>& work) {
  // Never destroyed: its threads end with the process.
  static Pool& pool = *new Pool;
  return pool.run(count, step, work);
}

// The files in calls of `depth`, one after the other.
double inCalls(const std::function<void(size_t)>& work) {
  double seconds = 0;
  for (size_t first = 0; first < files; first += depth) {
    seconds += timed(std::min(depth, files - first), 1, [&](size_t index) { work(first + index); });
  }
  return seconds;
}

void require(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

// Spread over 65,536 directories by a hash, as the engine's are: filesystems place files by their directories.
std::string directoryOf(const std::string& directory, size_t index) {
  const uint32_t hash = static_cast<uint32_t>(index) * 2654435761U;
  char levels[8];
  std::snprintf(levels, sizeof levels, "/%02x/%02x", hash >> 24, hash >> 16 & 0xff);
  return directory + levels;
}

std::string nameOf(const std::string& directory, size_t index) {
  return directoryOf(directory, index) + "/plain-" + std::to_string(index);
}

void store(const std::string& directory, size_t index) {
  const int fd = open(nameOf(directory, index).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | direct, 0666);
  require(fd >= 0, "open");
  alignas(kHeader) static const char header[kHeader] = {};
  require(pwrite(fd, header, kHeader, 0) == static_cast<ssize_t>(kHeader), "pwrite");
  const char* from = memory + index * bytes;
  for (size_t at = 0; at < bytes; at += block) {
    const size_t length = std::min(block, bytes - at);
    require(pwrite(fd, from + at, length, static_cast<off_t>(kHeader + at)) == static_cast<ssize_t>(length), "pwrite");
  }
  require(close(fd) == 0, "close");
}

void load(const std::string& directory, size_t index) {
  const int fd = open(nameOf(directory, index).c_str(), O_RDONLY | O_CLOEXEC | direct);
  require(fd >= 0, "open");
  alignas(kHeader) char header[kHeader];
  require(pread(fd, header, kHeader, 0) == static_cast<ssize_t>(kHeader), "pread");
  char* to = memory + index * bytes;
  for (size_t at = 0; at < bytes; at += block) {
    const size_t length = std::min(block, bytes - at);
    require(pread(fd, to + at, length, static_cast<off_t>(kHeader + at)) == static_cast<ssize_t>(length), "pread");
  }
  require(close(fd) == 0, "close");
}

std::vector<std::string> readList(const std::string& list) {
  std::ifstream lines(list);
  std::vector<std::string> paths;
  for (std::string path; std::getline(lines, path);) paths.push_back(path);
  return paths;
}

constexpr size_t kRounds = 20;

double statsOf(const std::vector<std::string>& paths) {
  return timed(paths.size() * kRounds, 32,
               [&](size_t index) {
                 struct stat info {};
                 require(stat(paths[index % paths.size()].c_str(), &info) == 0, "stat");
               }) /
         kRounds;
}

double keptOf(const std::vector<std::string>& paths) {
  std::vector<int> open_files;
  for (const std::string& path : paths) {
    open_files.push_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    require(open_files.back() >= 0, "open");
  }
  std::vector<char> headers(paths.size() * kHeader);
  const double seconds = timed(paths.size() * kRounds, 32, [&](size_t at) {
    const size_t index = at % paths.size();
    struct stat info {};
    require(fstat(open_files[index], &info) == 0, "fstat");
    const iovec parts[2] = {{headers.data() + index * kHeader, kHeader}, {memory + (index % files) * bytes, bytes}};
    require(preadv(open_files[index], parts, 2, 0) == static_cast<ssize_t>(kHeader + bytes), "preadv");
  });
  for (const int fd : open_files) close(fd);
  return seconds / kRounds;
}

double publishOf(const std::vector<std::string>& paths) {
  static const char header[kHeader] = {};
  return timed(paths.size(), 32, [&](size_t index) {
    const std::string& path = paths[index];
    struct stat info {};
    require(stat(path.c_str(), &info) != 0, "stat of a file that is there");
    const std::string temporary = path + ".tmp";
    const int fd = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    require(fd >= 0, "open");
    const iovec payload = {memory + (index % files) * bytes, bytes};
    require(pwritev(fd, &payload, 1, kHeader) == static_cast<ssize_t>(bytes), "pwritev");
    const iovec first = {const_cast<char*>(header), kHeader};
    require(pwritev(fd, &first, 1, 0) == static_cast<ssize_t>(kHeader), "pwritev");
    require(fstat(fd, &info) == 0, "fstat");
    require(close(fd) == 0, "close");
    require(link(temporary.c_str(), path.c_str()) == 0, "link");
    require(unlink(temporary.c_str()) == 0, "unlink");
    require(link(path.c_str(), (path + ".metadata").c_str()) == 0, "link");
  });
}

std::vector<std::string> dataFiles(const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  return found;
}

void readHeader(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "open");
  alignas(kHeader) char header[kHeader];
  require(pread(fd, header, kHeader, 0) == static_cast<ssize_t>(kHeader), "pread");
  require(close(fd) == 0, "close");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) return 2;
  files = std::strtoull(arguments[1], nullptr, 10);
  bytes = std::strtoull(arguments[2], nullptr, 10);
  threads = std::strtoull(arguments[3], nullptr, 10);
  block = std::strtoull(arguments[4], nullptr, 10);
  depth = files;
  for (int i = 5; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "direct") direct = O_DIRECT;
    else if (option.rfind("depth=", 0) == 0) depth = std::strtoull(option.c_str() + 6, nullptr, 10);
    else return 2;
  }
  if (depth == 0) return 2;
  memory = static_cast<char*>(mmap(nullptr, files * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  require(memory != MAP_FAILED, "mmap");
  for (size_t at = 0; at < files * bytes; at += 4096) memory[at] = static_cast<char>(at >> 12 | 1);

  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string what = line.substr(0, line.find(' '));
    const std::string argument = line.substr(line.find(' ') + 1);
    double seconds = 0;
    if (what == "store") {
      for (size_t index = 0; index < files; ++index) {
        std::filesystem::create_directories(directoryOf(argument, index));
        unlink(nameOf(argument, index).c_str());
      }
      seconds = inCalls([&](size_t index) { store(argument, index); });
    } else if (what == "load") {
      seconds = inCalls([&](size_t index) { load(argument, index); });
    } else if (what == "stat") {
      const std::vector<std::string> paths = readList(argument);
      seconds = timed(paths.size(), 32, [&](size_t index) {
        struct stat info {};
        require(stat(paths[index].c_str(), &info) == 0, "stat");
      });
    } else if (what == "stats") {
      seconds = statsOf(readList(argument));
    } else if (what == "kept") {
      seconds = keptOf(readList(argument));
    } else if (what == "publish") {
      seconds = publishOf(readList(argument));
    } else if (what == "headers") {
      const auto start = std::chrono::steady_clock::now();
      const std::vector<std::string> paths = dataFiles(argument);
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() +
                timed(paths.size(), 32, [&](size_t index) { readHeader(paths[index]); });
    } else {
      return 2;
    }
    std::printf("%.9f\n", seconds);
    std::fflush(stdout);
  }
  std::fflush(stdout);
  std::_Exit(0);
}
