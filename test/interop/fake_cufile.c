// The few calls of libcufile that LMCache's backend makes, over plain files and host memory, so that the backend runs
// without a GPU.  cc -shared -fPIC -O2 -o libcufile.so fake_cufile.c
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

struct result {
  int code;
  int cuda_code;
};
struct descriptor {
  int kind;
  union {
    int fd;
    void* handle;
  } file;
  const void* operations;
};
static const struct result success = {0, 0};

struct result cuFileDriverOpen(void) { return success; }
struct result cuFileDriverClose(void) { return success; }
struct result cuFileDriverClose_v2(void) { return success; }
struct result cuFileBufRegister(const void* base, size_t bytes, int flags) {
  (void)base, (void)bytes, (void)flags;
  return success;
}
struct result cuFileBufDeregister(const void* base) {
  (void)base;
  return success;
}

// A handle is the descriptor plus one, since null would be an error.
struct result cuFileHandleRegister(void** handle, struct descriptor* file) {
  *handle = (void*)(intptr_t)(file->file.fd + 1);
  return success;
}
void cuFileHandleDeregister(void* handle) { (void)handle; }
static int descriptorOf(void* handle) { return (int)(intptr_t)handle - 1; }

ssize_t cuFileRead(void* handle, void* base, size_t bytes, off_t file_offset, off_t base_offset) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count =
        pread(descriptorOf(handle), (char*)base + base_offset + done, bytes - done, file_offset + (off_t)done);
    if (count < 0) return -1;
    if (count == 0) break;
    done += (size_t)count;
  }
  return (ssize_t)done;
}

ssize_t cuFileWrite(void* handle, const void* base, size_t bytes, off_t file_offset, off_t base_offset) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count =
        pwrite(descriptorOf(handle), (const char*)base + base_offset + done, bytes - done, file_offset + (off_t)done);
    if (count <= 0) return -1;
    done += (size_t)count;
  }
  return (ssize_t)done;
}
