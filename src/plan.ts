/** A batch of file operations as plain arrays, for one crossing into the native engine. */
import { HEADER_BYTES, SIDECAR_SUFFIX, sumBlockBytes } from './layout/index.js';

/** Part of a registered region, or (region ≥ {@link OWN_MEMORY}) of memory that one plan brings along. */
export interface Segment {
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** Regions from here on are a plan's own memory: OWN_MEMORY + its index. */
export const OWN_MEMORY = 2 ** 32;

/** What an operation does; the numbers of native/index.d.cts. */
export const OPERATION = { exists: 0, load: 1, store: 2, probe: 3 } as const;

const SYNC = 1;
const REPLACE = 2;
const SEGMENT_WORDS = 3;

/** The arrays of a batch; native/index.d.cts says what each holds. */
export interface Plan {
  readonly kinds: Uint8Array;
  readonly paths: string;
  readonly sidecarSuffix: string;
  readonly headers: Uint8Array;
  readonly sumBlock: Uint32Array;
  readonly sumAt: Uint32Array;
  readonly segmentStart: Uint32Array;
  readonly segments: BigUint64Array;
  readonly memory: readonly Uint8Array[];
  readonly flags: Uint8Array;
}

/** A chunk to read: its header, and its payload into the segments. Without segments, header and file size alone. */
export interface Load {
  readonly path: string;
  readonly segments: readonly Segment[];
  /** Whether to sum the payload. */
  readonly sums: boolean;
}

/** A chunk to write. */
export interface Store {
  readonly path: string;
  readonly segments: readonly Segment[];
  /** Writes the header at `at` and returns where in it the sums go, 0 for none. */
  readonly writeHeader: (headers: Uint8Array, at: number) => number;
  /** Bytes of payload one sum covers; 0 sums nothing. */
  readonly sumBlock: number;
  /** fsync before publishing. */
  readonly sync: boolean;
  /** Publish over an existing file. */
  readonly replace: boolean;
}

/** A batch that asks whether files exist, and their sizes. */
export function planExists(paths: readonly string[]): Plan {
  return { ...emptyPlan(paths), kinds: new Uint8Array(paths.length).fill(OPERATION.exists) };
}

/** A batch that tries what works in directories: temporary files, hard links, direct I/O. */
export function planProbes(directories: readonly string[]): Plan {
  return { ...emptyPlan(directories), kinds: new Uint8Array(directories.length).fill(OPERATION.probe) };
}

/** A batch that reads. `memory` is what segments from {@link OWN_MEMORY} up name. */
export function planLoads(loads: readonly Load[], memory: readonly Uint8Array[]): Plan {
  const sumBlock = Uint32Array.from(loads, (load) => (load.sums ? sumBlockBytes(segmentBytes(load.segments)) : 0));
  return {
    ...emptyPlan(loads.map((load) => load.path)),
    ...packSegments(loads),
    kinds: new Uint8Array(loads.length).fill(OPERATION.load),
    sumBlock,
    memory,
  };
}

/** A batch that writes. */
export function planStores(stores: readonly Store[], memory: readonly Uint8Array[]): Plan {
  const headers = new Uint8Array(stores.length * HEADER_BYTES);
  const sumAt = Uint32Array.from(stores, (store, i) => store.writeHeader(headers, i * HEADER_BYTES));
  return {
    ...emptyPlan(stores.map((store) => store.path)),
    ...packSegments(stores),
    kinds: new Uint8Array(stores.length).fill(OPERATION.store),
    headers,
    sumAt,
    sumBlock: Uint32Array.from(stores, (store) => store.sumBlock),
    flags: Uint8Array.from(stores, (store) => (store.sync ? SYNC : 0) | (store.replace ? REPLACE : 0)),
    memory,
  };
}

/** Bytes of all segments. */
export function segmentBytes(segments: readonly Segment[]): number {
  return segments.reduce((bytes, segment) => bytes + segment.length, 0);
}

function emptyPlan(paths: readonly string[]): Plan {
  const count = paths.length;
  return {
    kinds: new Uint8Array(count),
    paths: paths.join('\0'),
    sidecarSuffix: SIDECAR_SUFFIX,
    headers: new Uint8Array(0),
    sumBlock: new Uint32Array(count),
    sumAt: new Uint32Array(count),
    segmentStart: new Uint32Array(count + 1),
    segments: new BigUint64Array(0),
    memory: [],
    flags: new Uint8Array(count),
  };
}

function packSegments(operations: readonly { readonly segments: readonly Segment[] }[]) {
  const segmentStart = new Uint32Array(operations.length + 1);
  let count = 0;
  for (const [i, { segments }] of operations.entries()) segmentStart[i + 1] = count += segments.length;
  const packed = new BigUint64Array(count * SEGMENT_WORDS);
  let at = 0;
  for (const { segments } of operations) {
    for (const { region, offset, length } of segments) {
      packed[at++] = BigInt(region);
      packed[at++] = BigInt(offset);
      packed[at++] = BigInt(length);
    }
  }
  return { segmentStart, segments: packed };
}
