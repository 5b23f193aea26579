/** What CUDA and cuFile say, with what to do about it. */
import { type ErrorCode, KVOffloadError } from './errors.js';
import { native } from './native.js';

/** A call of CUDA's or cuFile's that failed: its name, the library's number (0: none), and its words. */
export interface DeviceFailure {
  readonly call: string;
  readonly code: number;
  readonly text: string;
}

/** CUDA_ERROR_OUT_OF_MEMORY. */
const OUT_OF_MEMORY = 2;
const FIRST_CUFILE_CODE = 5001;

const CUDA_STEPS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  'start of CUDA': ['KVO_CUDA', 'open the engine with kv_offload.device set to cuda'],
  cuMemAlloc: ['KVO_DEVICE_MEMORY', 'leave GPU memory free for it: lower --gpu-memory-utilization'],
  cuMemHostAlloc: ['KVO_DEVICE_MEMORY', 'raise the memory limit (ulimit -l, cgroup), or lower disk_io_threads'],
  'copy with CUDA': [
    'KVO_CUDA',
    'check the addresses that were registered; after such an error a process must restart',
  ],
};
const CUFILE_STEPS = new Set(['cuFileHandleRegister', 'cuFileRead', 'cuFileWrite']);

/** Whether an outcome's code is CUDA's or cuFile's own: cuFile gives errnos too. */
export function isDeviceCode(step: string, code: number): boolean {
  return step in CUDA_STEPS || (CUFILE_STEPS.has(step) && code >= FIRST_CUFILE_CODE);
}

/** What a failed operation on device memory tells. */
export function deviceError(path: string, step: string, code: number): KVOffloadError {
  const cuda = CUDA_STEPS[step];
  if (cuda === undefined) {
    return new KVOffloadError(
      'KVO_GDS',
      `${path}: ${step} failed with ${cufileErrorName(code)}; ${cufileRemedy(code)}`,
    );
  }
  const [kind, remedy] = cuda;
  return new KVOffloadError(kind, `${path}: ${step} failed with CUDA error ${code}; ${remedy}`);
}

/** What cuFile's numbers mean: `IO_NOT_SUPPORTED (5008)`; below 5001 they are errnos. */
export function cufileErrorName(code: number): string {
  if (code < FIRST_CUFILE_CODE) return `errno ${code}`;
  return `${native().cufileCodes[code] ?? 'an unknown error'} (${code})`;
}

/** cuFile's code → what can be done. */
export function cufileRemedy(code: number): string {
  return CUFILE_REMEDIES[code] ?? 'see its log (CUFILE_LOGFILE_PATH) and docs/gpu.md';
}

const CUFILE_REMEDIES: Readonly<Record<number, string>> = {
  5001: 'its driver is not open: see engine.transport',
  5008: 'the file or filesystem is none that it can move directly',
  5018: 'only regular files can be moved',
  5019: 'the file was opened with a flag that it refuses',
  5022: 'one of its arguments was refused: is the memory still allocated?',
  5027: 'the file is not registered with it any more',
  5029: 'it sees no GPU: is /dev/nvidia* there, and is the driver running?',
  5030: 'the device below the filesystem has no udev record (containers, overlay, tmpfs): mount /run/udev, or use kv_offload.transport staged',
  5033: 'nvidia-fs could not be set up: is its module loaded, and /dev/nvidia-fs* there?',
  5036: 'GPU memory could not be pinned: raise max_device_pinned_mem_size_kb in cufile.json, or lower cufile_buffer_size',
};

/** An error for a call that is no operation of a batch. */
export function failureError(what: string, failure: DeviceFailure): KVOffloadError {
  const where = `${what}: ${failure.call} failed: ${failure.text}`;
  if (failure.code === OUT_OF_MEMORY && failure.call.startsWith('cuMem')) {
    return new KVOffloadError(
      'KVO_DEVICE_MEMORY',
      `${where}; lower cufile_buffer_size, or leave it room: lower --gpu-memory-utilization of the inference server`,
    );
  }
  if (failure.call === 'cuPointerGetAttribute') {
    return new KVOffloadError('KVO_MEMORY_INVALID', `${where}; pass memory of this engine’s GPU, from cudaMalloc`);
  }
  if (failure.call === 'closed') return new KVOffloadError('KVO_CLOSED', 'the engine is closed; open another');
  if (failure.call === 'cuIpcOpenMemHandle') {
    return new KVOffloadError(
      'KVO_MEMORY_INVALID',
      `${where}; pass the handle of memory from cudaMalloc that another, living process exported`,
    );
  }
  return new KVOffloadError('KVO_CUDA', where);
}
