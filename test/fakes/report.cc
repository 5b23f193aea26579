#include "report.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "counters.h"

namespace kvo::fake {
namespace {

std::string line(const std::string& what) { return std::to_string(::getpid()) + " " + what + "\n"; }

[[noreturn]] void die(const std::string& text) {
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace

void violation(const std::string& what) {
  count(Counter::kViolations);
  const char* const path = std::getenv("KVO_FAKE_REPORT");
  if (path == nullptr || *path == '\0') die("fake GPU: violation: " + line(what));
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string text = line(what);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    die("fake GPU: cannot write " + std::string(path) + " about: " + text);
  ::close(fd);
}

void misused(const std::string& what) { die("fake GPU: misused: " + line(what)); }

std::string rangeText(unsigned long long address, unsigned long long bytes) {
  char text[64];
  (void)std::snprintf(text, sizeof text, "0x%llx+%llu", address, bytes);
  return text;
}

}  // namespace kvo::fake
