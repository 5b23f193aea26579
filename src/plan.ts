/** A batch of file operations as plain arrays, for one crossing into the native engine. */
import { takeHeaders } from './header-buffers.js';
import { HEADER_BYTES, SIDECAR_SUFFIX, sumBlockBytes } from './layout/index.js';

/** Part of a registered region, or (region ≥ {@link OWN_MEMORY}) of memory that one plan brings along. */
export interface Segment {
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: number;
  /** Bytes; of each block, where there are several. */
  readonly length: number;
  /** Blocks of one length each, at these offsets from the region's start; `offset` is then 0. */
  readonly blocks?: BigUint64Array;
}

/** What of the device's work must be done before a batch begins; one of these. */
export interface Wait {
  /** A CUevent. */
  readonly event?: bigint;
  /** A CUstream, with all that it was given. */
  readonly stream?: bigint;
  /** Another process's CUevent, as cuIpcGetEventHandle or torch's `Event.ipc_handle()` gives it: 64 bytes. */
  readonly eventHandle?: Uint8Array;
}

/** Regions from here on are a plan's own memory: OWN_MEMORY + its index. */
export const OWN_MEMORY = 2 ** 32;

/** What an operation does; the numbers of native/index.d.cts. */
export const OPERATION = { exists: 0, load: 1, store: 2, probe: 3, probeGds: 4 } as const;

const SYNC = 1;
const REPLACE = 2;
const GDS = 4;
/** Beside its region: a segment of blocks. */
const BLOCKS = 2 ** 33;
const SEGMENT_WORDS = 3;

const NO_HEADERS = Buffer.alloc(0);

/** The arrays of a batch; native/index.d.cts says what each holds. */
export interface Plan {
  readonly kinds: Uint8Array;
  readonly paths: string;
  readonly sidecarSuffix: string;
  readonly headers: Buffer;
  readonly sumBlock: Uint32Array;
  readonly sumAt: Uint32Array;
  readonly segmentStart: Uint32Array;
  readonly segments: BigUint64Array;
  readonly blockOffsets: BigUint64Array;
  readonly memory: readonly Uint8Array[];
  readonly flags: Uint8Array;
  readonly wait?: Wait;
}

/** A chunk to read: its header, and its payload into the segments. Without segments, header and file size alone. */
export interface Load {
  readonly path: string;
  readonly segments: readonly Segment[];
  /** Whether to sum the payload. */
  readonly sums: boolean;
  /** Device memory through cuFile; default staged. */
  readonly gds?: boolean;
}

/** A chunk to write. */
export interface Store {
  readonly path: string;
  readonly segments: readonly Segment[];
  /** Writes all 4096 bytes of the header at `at` and returns where in it the sums go, 0 for none. */
  readonly writeHeader: (headers: Buffer, at: number) => number;
  /** Bytes of payload one sum covers; 0 sums nothing. */
  readonly sumBlock: number;
  /** fsync before publishing. */
  readonly sync: boolean;
  /** Publish over an existing file. */
  readonly replace: boolean;
  /** Device memory through cuFile; default staged. */
  readonly gds?: boolean;
}

/** A batch that asks whether files exist, and their sizes. */
export function planExists(paths: readonly string[]): Plan {
  return { ...emptyPlan(paths), kinds: new Uint8Array(paths.length).fill(OPERATION.exists) };
}

/** A batch that tries what works in directories: temporary files, hard links, direct I/O. */
export function planProbes(directories: readonly string[]): Plan {
  return { ...emptyPlan(directories), kinds: new Uint8Array(directories.length).fill(OPERATION.probe) };
}

/** A batch that tries cuFile: in a directory, by a temporary file, or on a file that is only read. */
export function planGdsProbe(path: string): Plan {
  return { ...emptyPlan([path]), kinds: Uint8Array.of(OPERATION.probeGds) };
}

/** A batch that reads. `memory` is what segments from {@link OWN_MEMORY} up name. */
export function planLoads(loads: readonly Load[], memory: readonly Uint8Array[], wait?: Wait): Plan {
  const plan = emptyPlan(loads.map((load) => load.path));
  for (const [i, load] of loads.entries()) {
    if (load.sums) plan.sumBlock[i] = sumBlockBytes(segmentBytes(load.segments));
    if (load.gds === true) plan.flags[i] = GDS;
  }
  plan.kinds.fill(OPERATION.load);
  return { ...plan, ...packSegments(loads), headers: takeHeaders(loads.length), memory, ...(wait && { wait }) };
}

/** A batch that writes. */
export function planStores(stores: readonly Store[], memory: readonly Uint8Array[], wait?: Wait): Plan {
  // Each header is written whole.
  const headers = takeHeaders(stores.length);
  const plan = emptyPlan(stores.map((store) => store.path));
  for (const [i, store] of stores.entries()) {
    plan.sumAt[i] = store.writeHeader(headers, i * HEADER_BYTES);
    plan.sumBlock[i] = store.sumBlock;
    plan.flags[i] = (store.sync ? SYNC : 0) | (store.replace ? REPLACE : 0) | (store.gds === true ? GDS : 0);
  }
  plan.kinds.fill(OPERATION.store);
  return { ...plan, ...packSegments(stores), headers, memory, ...(wait && { wait }) };
}

/** Bytes of all segments. */
export function segmentBytes(segments: readonly Segment[]): number {
  return segments.reduce((bytes, { length, blocks }) => bytes + length * (blocks?.length ?? 1), 0);
}

function emptyPlan(paths: readonly string[]): Plan {
  const count = paths.length;
  return {
    kinds: new Uint8Array(count),
    paths: paths.join('\0'),
    sidecarSuffix: SIDECAR_SUFFIX,
    headers: NO_HEADERS,
    sumBlock: new Uint32Array(count),
    sumAt: new Uint32Array(count),
    segmentStart: new Uint32Array(count + 1),
    segments: new BigUint64Array(0),
    blockOffsets: new BigUint64Array(0),
    memory: [],
    flags: new Uint8Array(count),
  };
}

function packSegments(operations: readonly { readonly segments: readonly Segment[] }[]) {
  const segmentStart = new Uint32Array(operations.length + 1);
  let count = 0;
  let blockCount = 0;
  let i = 0;
  for (const { segments } of operations) {
    segmentStart[++i] = count += segments.length;
    for (const { blocks } of segments) blockCount += blocks?.length ?? 0;
  }
  const blockOffsets = new BigUint64Array(blockCount);
  let block = 0;
  const packed = new BigUint64Array(count * SEGMENT_WORDS);
  const halves = new Uint32Array(packed.buffer);
  let at = 0;
  for (const { segments } of operations) {
    for (const { region, offset, length, blocks } of segments) {
      if (blocks === undefined) {
        writeWord(halves, at, region);
        writeWord(halves, at + 2, offset);
      } else {
        writeWord(halves, at, region + BLOCKS);
        halves[at + 2] = block;
        halves[at + 3] = blocks.length;
        blockOffsets.set(blocks, block);
        block += blocks.length;
      }
      writeWord(halves, at + 4, length);
      at += 2 * SEGMENT_WORDS;
    }
  }
  return { segmentStart, segments: packed, blockOffsets };
}

/** By halves, since a bigint costs an allocation each. Every platform of ours is little-endian. */
function writeWord(halves: Uint32Array, at: number, value: number): void {
  halves[at] = value;
  halves[at + 1] = value / 2 ** 32;
}
