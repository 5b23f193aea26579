/** The GPU of a run: how fast its link is, what it is, and what a report says of it. */
import { type Config, deviceNumber } from '../../config/index.js';
import type { TransportInfo } from '../../store/transport.js';
import { measureCopies, openDevice, releaseDevice } from '../../transfer.js';
import type { Report, Row } from './schema.js';
import { median, spreadOf } from './statistics.js';

/** Long enough that starting a copy does not count. */
const COPY_BYTES = 256 * 2 ** 20;

/** Bytes of host memory, and of the GPU's, that {@link measureLink} takes while it runs. */
export const COPY_MEMORY = COPY_BYTES;

/** The ceiling: GB/s of pinned copies. */
export interface Link {
  /** What stores are held against. */
  readonly toHost: number;
  /** What retrieves are held against. */
  readonly toDevice: number;
  readonly rows: readonly Row[];
}

/** @throws KVOffloadError `KVO_DEVICE_UNAVAILABLE`, `KVO_DEVICE_MEMORY`, `KVO_CUDA` */
export async function measureLink(config: Config, repeats: number): Promise<Link> {
  const index = deviceNumber(config.device) ?? 0;
  const { session } = await openDevice({ index, libcuda: config.libcudaPath, cufile: undefined });
  const { toDevice, toHost } = await measureCopies(session, COPY_BYTES, repeats).finally(() => {
    releaseDevice(session);
  });
  const row = (direction: 'to the GPU' | 'from the GPU', seconds: readonly number[]): Row => {
    const values = seconds.map((one) => COPY_BYTES / one / 1e9);
    return {
      id: `memcpy/pinned-copy/${direction}`,
      operation: 'memcpy',
      by: 'pinned-copy',
      chunk: direction,
      chunkBytes: COPY_BYTES,
      chunks: 1,
      threads: 1,
      depth: 1,
      io: 'none',
      sums: false,
      transport: 'none',
      cache: 'none',
      unit: 'GB/s',
      values,
      ...spreadOf(values),
    };
  };
  const rows = [row('to the GPU', toDevice), row('from the GPU', toHost)] as const;
  return { toDevice: median(rows[0].values), toHost: median(rows[1].values), rows };
}

/** Values over the pinned copies of their direction, which were measured once, before everything else. */
export function linkRatio(
  link: Link,
  operation: Row['operation'],
  values: readonly number[],
): NonNullable<Row['ratios']> {
  const ceiling = operation === 'store' ? link.toHost : link.toDevice;
  return { 'pinned-copy': spreadOf(values.map((value) => value / ceiling)) };
}

/** The report's `device`; null without a GPU. */
export function describeGpu(transport: TransportInfo): Report['device'] {
  const { device, cufile, buffer, routes } = transport;
  if (device === undefined) return null;
  const { index, name, memoryBytes, pciBusId, driver, numaNode, batchCopy } = device;
  const [route] = routes;
  return {
    kind: `cuda:${index}`,
    name,
    memoryBytes,
    driver: `CUDA ${driver}`,
    details: {
      pciBusId,
      ...(numaNode !== undefined && { numaNode: String(numaNode) }),
      batchCopy: batchCopy ? 'yes' : 'no',
      ...(route && { reads: route.reads, writes: route.writes }),
      cufile: describeCufile(cufile),
      ...(buffer && { buffer: describeBuffer(buffer) }),
    },
  };
}

function describeCufile(cufile: TransportInfo['cufile']): string {
  if (cufile === undefined) return 'not asked for';
  if ('unavailable' in cufile) return `unavailable: ${cufile.unavailable}`;
  const { version, path, allowsCompat, countsPaths } = cufile;
  const compat = allowsCompat ? 'may use compat mode' : 'no compat mode';
  return `${version} (${path}), ${compat}${countsPaths ? '' : ', does not count which way bytes take'}`;
}

function describeBuffer({ registered, refused }: NonNullable<TransportInfo['buffer']>): string {
  const how = registered === 'not' ? 'not registered with cuFile' : `registered with cuFile ${registered}`;
  return refused === undefined ? how : `${how}: ${refused}`;
}
