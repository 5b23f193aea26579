// What NVIDIA's own libcufile asks of libcuda beside the calls that test/fakes has, so that it runs on a machine without
// a GPU, in its compat mode: scripts/test-cufile.mjs builds it as libcuda.so.1 on top of the fake. That script adds a
// function that answers 0 for each of the other names that libcufile looks up; it loads none where one is missing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { kAttributeContext = 1, kAttributeMemoryType = 2, kAttributeDeviceOrdinal = 9, kAttributeMapped = 12 };

// The fake's.
int cuDevicePrimaryCtxRetain(void** context, int device);
int cuCtxSetCurrent(void* context);
int cuMemHostAlloc(void** memory, size_t bytes, unsigned flags);
int cuStreamCreate(void** stream, unsigned flags);

// Of cuFile's questions about a device, all but the compute capability want a yes.
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1;
  return 0;
}

int cuDeviceGetUuid(void* uuid, int device) {
  memset(uuid, 7 + device, 16);
  return 0;
}
int cuDeviceGetUuid_v2(void* uuid, int device) { return cuDeviceGetUuid(uuid, device); }

int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  (void)device;
  *flags = 0;
  *active = 1;
  return 0;
}

int cuCtxGetCurrent(void** context) { return cuDevicePrimaryCtxRetain(context, 0); }

int cuCtxCreate_v2(void** context, unsigned flags, int device) {
  (void)flags;
  const int error = cuDevicePrimaryCtxRetain(context, device);
  return error != 0 ? error : cuCtxSetCurrent(*context);
}

int cuCtxGetDevice(int* device) {
  *device = 0;
  return 0;
}

int cuMemAllocHost_v2(void** memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }

int cuMemHostGetDevicePointer_v2(void** device, void* host, unsigned flags) {
  (void)flags;
  *device = host;
  return 0;
}

int cuStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
  (void)priority;
  return cuStreamCreate(stream, flags);
}

// The fake refuses the attributes that our library never asks for.
int cuPointerGetAttribute(void* value, int attribute, unsigned long long pointer) {
  static int (*fake)(void*, int, unsigned long long);
  if (fake == NULL) *(void**)&fake = dlsym(RTLD_NEXT, "cuPointerGetAttribute");
  const int error = fake(value, attribute, pointer);
  if (error == 0) return 0;
  if (attribute == kAttributeContext) return cuCtxGetCurrent(value);
  if (attribute == kAttributeMemoryType || (attribute >= kAttributeDeviceOrdinal && attribute <= kAttributeMapped))
    return error;
  memset(value, 0, sizeof(int));
  return 0;
}

// cuFile's counting ends with this, while a thread of its own may still write there: 20 ms show it for certain, where by
// itself one end of a process in fifty did. The script preloads this library for it, and for what follows.
int shmdt(const void* memory) {
  const int result = ((int (*)(const void*))dlsym(RTLD_NEXT, "shmdt"))(memory);
  usleep(20000);
  return result;
}

// libcufile reads this file until it ends, and where a container has none it does so for ever.
#ifdef KVO_NO_PROC_MODULES
typedef FILE* Open(const char* path, const char* mode);
static const char* readable(const char* path) { return strcmp(path, "/proc/modules") == 0 ? "/dev/null" : path; }
FILE* fopen(const char* path, const char* mode) { return ((Open*)dlsym(RTLD_NEXT, "fopen"))(readable(path), mode); }
FILE* fopen64(const char* path, const char* mode) { return ((Open*)dlsym(RTLD_NEXT, "fopen64"))(readable(path), mode); }
#endif
