#include "publish.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "transfer.h"

namespace kvo {
namespace {

bool linksUnsupported(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK || error == EINVAL;
}

uint32_t fold(const char* text, size_t length) {
  uint32_t hash = 2166136261;  // FNV-1a
  for (size_t at = 0; at < length; ++at) hash = (hash ^ static_cast<unsigned char>(text[at])) * 16777619;
  return hash;
}

// Where hard links are refused: the header in a file of its own, moved into place.
int writeSidecar(Context& context, const char* path, const std::string& sidecar, const char* header) {
  std::string name;
  const int fd = makeTemporary(context.core, directoryOf(path), name, [&](const char* free) {
    return context.io.open(free, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
  if (fd < 0) return -fd;
  Temporary temporary(context.io, std::move(name));
  OpenFile file(context.io.files(), fd, false);
  const Span span = {const_cast<char*>(header), kHeaderBytes};
  Status status = transfer(context, Direction::kWrite, fd, false, SpanCursor(&span, &span + 1, 0, kHeaderBytes), 0);
  const int closing = -context.io.close(file.release());
  if (status.ok()) status.error = closing;
  if (status.ok()) status.error = -context.io.rename(temporary.name(), sidecar.c_str(), false);
  if (status.ok()) temporary.moved();
  else temporary.remove();
  return status.error;
}

// The sidecar as a hard link of the data file, over whatever stale one is there.
int linkSidecar(Context& context, const char* path, const std::string& sidecar, const char* header) {
  int error = -context.io.link(path, sidecar.c_str());
  if (error == EEXIST) {
    std::string name;
    error = -makeTemporary(context.core, directoryOf(path), name,
                           [&](const char* free) { return context.io.linkTemporary(path, free); });
    if (error == 0) {
      Temporary temporary(context.io, std::move(name));
      error = -context.io.rename(temporary.name(), sidecar.c_str(), false);
      // Still there where the sidecar was a link of this very file already, since rename then does nothing.
      temporary.remove();
    }
  }
  return linksUnsupported(error) ? writeSidecar(context, path, sidecar, header) : error;
}

// The temporary file becomes the data file by rename, which also takes the temporary name away.
int moveIntoPlace(Context& context, const Operation& op, const char* temporary) {
  int error = -context.io.rename(temporary, op.path, !op.replace);
  if (!op.replace && (error == EINVAL || error == ENOSYS)) {
    // No atomic refusal here either. Two writers of one key write the same bytes, so the last one may win.
    FileInfo info;
    if (context.io.stat(op.path, info) == 0) return EEXIST;
    error = -context.io.rename(temporary, op.path, false);
  }
  return error;
}

}  // namespace

std::string directoryOf(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

std::string temporaryPrefix() {
  char host[256] = "";
  (void)gethostname(host, sizeof host - 1);
  char boot[64] = "";
  size_t boot_bytes = 0;
  if (std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re"); file != nullptr) {
    boot_bytes = std::fread(boot, 1, sizeof boot - 1, file);
    (void)std::fclose(file);
  }
  char prefix[64];
  std::snprintf(prefix, sizeof prefix, ".kvo-%08x-%08x-%d-", fold(host, std::string(host).size()),
                fold(boot, boot_bytes), static_cast<int>(getpid()));
  return prefix;
}

std::string temporaryName(Core& core, const std::string& directory) {
  return directory + '/' + core.temporary_prefix +
         std::to_string(core.temporary_counter.fetch_add(1, std::memory_order_relaxed)) + ".tmp";
}

Status publish(Context& context, const Operation& op, Temporary& temporary, const std::string& sidecar_suffix,
               const char* header, bool& exists) {
  int error = op.replace ? EEXIST : -context.io.link(temporary.name(), op.path);
  bool moved = false;
  if (linksUnsupported(error)) context.core.stats.add(Stat::kLinksRefused);
  if (linksUnsupported(error) || op.replace) {
    error = moveIntoPlace(context, op, temporary.name());
    moved = error == 0;
  }
  exists = error == EEXIST;
  if (exists) return {};
  if (moved) temporary.moved();
  else temporary.remove();
  if (error != 0) return Status::fail(Step::kPublish, error);
  if (op.replace) context.core.cache.drop(context.io, op.path);

  const int sidecar = linkSidecar(context, op.path, op.path + sidecar_suffix, header);
  if (sidecar != 0) context.core.stats.add(Stat::kSidecarFailures);
  return {};
}

void mendSidecar(Context& context, const char* path, const std::string& sidecar_suffix, const char* header) {
  FileInfo info;
  const std::string sidecar = path + sidecar_suffix;
  if (context.io.stat(sidecar.c_str(), info) != -ENOENT) return;
  const int error = linkSidecar(context, path, sidecar, header);
  if (error != 0 && error != EEXIST) context.core.stats.add(Stat::kSidecarFailures);
}

}  // namespace kvo
