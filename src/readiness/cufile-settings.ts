/** The settings of cufile.json that WekaFS needs: those that WEKA's own tool writes. */
import type { JsonValue } from './jsonc-edit.js';

/** One setting: how it should be, and what happens otherwise. */
export interface WekaSetting {
  readonly path: readonly [string, string, ...string[]];
  /** What it must become; undefined where its present value will do. `undefined` as `present`: it is not there. */
  readonly wanted: (present: unknown) => JsonValue | undefined;
  /** off: without it there is silently no GPUDirect Storage on WekaFS; slow: it is slower. */
  readonly otherwise: 'off' | 'slow';
  readonly why: string;
}

const exactly = (value: boolean | number) => (present: unknown) => (present === value ? undefined : value);
const atLeast = (least: number) => (present: unknown) =>
  typeof present === 'number' && present >= least ? undefined : least;

export const RDMA_LIST = 'properties.rdma_dev_addr_list';
export const COMPAT = ['properties', 'allow_compat_mode'] as const;

/** In the order of the file. The RDMA addresses are a node's own: see {@link rdmaSetting}. */
export const WEKA_SETTINGS: readonly WekaSetting[] = [
  {
    path: ['execution', 'max_io_threads'],
    wanted: exactly(0),
    otherwise: 'slow',
    why: 'cuFile then splits I/O among threads of its own, beside ours',
  },
  {
    path: ['execution', 'parallel_io'],
    wanted: exactly(true),
    otherwise: 'slow',
    why: 'WEKA’s own tool sets it true',
  },
  {
    path: ['execution', 'max_io_queue_depth'],
    wanted: atLeast(128),
    otherwise: 'slow',
    why: 'WEKA’s own tool sets at least 128',
  },
  {
    path: ['execution', 'max_request_parallelism'],
    wanted: atLeast(4),
    otherwise: 'slow',
    why: 'WEKA’s own tool sets at least 4',
  },
  {
    path: ['properties', 'gds_rdma_write_support'],
    wanted: exactly(true),
    otherwise: 'off',
    why: 'writes go through host memory without it',
  },
  {
    path: ['fs', 'weka', 'rdma_write_support'],
    wanted: exactly(true),
    otherwise: 'off',
    why: 'writes to WekaFS go through host memory without it, whatever allow_compat_mode says',
  },
];

/** @param addresses - of this node's InfiniBand interfaces that are up */
export function rdmaSetting(addresses: readonly string[]): WekaSetting {
  return {
    path: ['properties', 'rdma_dev_addr_list'],
    wanted: (present) => {
      const list: readonly unknown[] = Array.isArray(present) ? present : [];
      const same = list.length === addresses.length && addresses.every((address) => list.includes(address));
      return same ? undefined : addresses;
    },
    otherwise: 'off',
    why: 'cuFile uses RDMA on the interfaces listed there only; with none there is no GPUDirect Storage on WekaFS',
  };
}

/** @param strict - false as WEKA sets it: cuFile may go through host memory where GPUDirect Storage fails */
export function compatSetting(strict: boolean): WekaSetting {
  return {
    path: COMPAT,
    wanted: exactly(!strict),
    otherwise: 'slow',
    why: strict
      ? 'with it, reads that GPUDirect Storage refuses go through host memory without an error (writes do so regardless)'
      : 'WEKA’s own tool allows it: files that GPUDirect Storage refuses are read and written through host memory',
  };
}

/** The value at a path of plain JSON; undefined where there is none. */
export function settingOf(json: unknown, path: readonly string[]): unknown {
  let value = json;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
