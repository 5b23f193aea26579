/** The GPU of an engine, opened as the configuration says. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, deviceNumber } from '../config/index.js';
import { type DeviceSession, dottedVersion, openDevice } from '../transfer.js';

/** What is known of it. */
export interface GpuInfo {
  readonly device: {
    /** Its number, as CUDA counts those that the process sees. */
    readonly index: number;
    readonly name: string;
    readonly memoryBytes: number;
    readonly pciBusId: string;
    /** CUDA's version that the driver has, such as `13.0`. */
    readonly driver: string;
    /** The NUMA node whose processors move its bytes; absent where the machine has one. */
    readonly numaNode?: number;
    /** Whether small chunks are sent in one call a slice (CUDA 12.8 and later), not one a chunk. */
    readonly batchCopy: boolean;
  };
  /** cuFile, where it was asked for: what was opened, or why it can't be used. */
  readonly cufile?:
    | {
        /** Of GDS, such as `1.15`. */
        readonly version: string;
        readonly path: string;
        /** Whether its configuration lets it fall back to POSIX by itself. */
        readonly allowsCompat: boolean;
        /** Whether it can tell which way bytes took. */
        readonly countsPaths: boolean;
        /** GPU memory that it may pin, in bytes. */
        readonly maxPinnedBytes: number;
      }
    | { readonly unavailable: string };
}

/** An opened GPU. */
export interface Gpu {
  readonly session: DeviceSession;
  readonly info: GpuInfo;
}

/**
 * Opens the GPU that the configuration names, and cuFile unless that is ruled out.
 *
 * @returns undefined for host memory
 * @throws KVOffloadError `KVO_DEVICE_UNAVAILABLE`, `KVO_NATIVE_MISSING`
 */
export async function openGpu(config: Config): Promise<Gpu | undefined> {
  const index = deviceNumber(config.device);
  if (index === undefined) return undefined;
  const opened = await openDevice({
    index,
    libcuda: config.libcudaPath,
    cufile:
      config.useGds && config.transport !== 'staged'
        ? {
            library: config.libcufilePath,
            // By default cuFile writes it to the working directory.
            log: join(tmpdir(), `kv-offload-cufile-${process.pid}.log`),
            configuration: config.cufileConfig,
            timeoutMs: Math.ceil(config.blockingTimeoutSecs * 1000),
          }
        : undefined,
  });
  const { session, name, memoryBytes, pciBusId, driverVersion, numaNode, batchCopy, cufile } = opened;
  const device = {
    index,
    name,
    memoryBytes,
    pciBusId,
    driver: dottedVersion(driverVersion),
    ...(numaNode >= 0 && { numaNode }),
    batchCopy,
  };
  return { session, info: { device, ...(cufile && { cufile: describeCufile(cufile) }) } };
}

function describeCufile(cufile: NonNullable<Awaited<ReturnType<typeof openDevice>>['cufile']>) {
  if ('failure' in cufile) {
    const { call, text, code } = cufile.failure;
    return { unavailable: `${call} failed: ${text}${code === 0 ? '' : ` (${code})`}` };
  }
  return { ...cufile, version: dottedVersion(cufile.version) };
}
