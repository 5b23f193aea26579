/**
 * The door between TypeScript and C++: each call is one crossing. Only src/transfer.ts imports the engine; src/hash/
 * may import the pure functions. Arguments are trusted in their types (TypeScript checks them before), and checked in
 * their bounds.
 */

/** A batch of file operations, as plain arrays of n operations. Copied at submit, but for the memory it names and `headers`. */
export interface NativePlan {
  /**
   * n operation kinds: 0 exists, 1 load, 2 store, 3 probe (the path is a directory: a temporary file tells what works
   * there), 4 probe of cuFile (a directory, for a temporary file, or a file that is only read).
   */
  kinds: Uint8Array;
  /** n absolute data-file paths joined by NUL. */
  paths: string;
  /** Appended to a data file's path to name its sidecar. */
  sidecarSuffix: string;
  /**
   * n × 4096 bytes for a plan that moves bytes, else empty. Stores write theirs before the payload, with sums filled in;
   * loads read into it, and so do stores whose outcome is exists. Not to be touched until the batch settles, or ever
   * again where that is stuck. Shared memory, so that nobody can detach it.
   */
  headers: Uint8Array;
  /** n block sizes in bytes for XXH3-64 sums of the payload; 0 computes none. */
  sumBlock: Uint32Array;
  /** n offsets into the header where a store writes its sums, 16 hex digits each; unused where sumBlock is 0. */
  sumAt: Uint32Array;
  /** n + 1 indices into segments / 3: operation i moves segments [segmentStart[i], segmentStart[i + 1]). */
  segmentStart: Uint32Array;
  /**
   * Triples [region, offset, length]; region ≥ 2^32 names memory[region - 2^32]. Region + 2^33: count blocks of `length`
   * bytes each, at blockOffsets[first …] of a region; the second word is first + count × 2^32.
   */
  segments: BigUint64Array;
  /** Bytes from a region's start. */
  blockOffsets: BigUint64Array;
  /** Memory used by this batch alone; kept alive until the batch settles. */
  memory: readonly Uint8Array[];
  /** n bit sets: 1 sync (fsync before publishing), 2 replace (publish over an existing file), 4 device memory through cuFile. */
  flags: Uint8Array;
  /** What must have happened on the device before the batch begins: a CUevent, or all work on a CUstream so far. */
  wait?: { event?: bigint; stream?: bigint; eventHandle?: Uint8Array };
}

/** What a batch answers, once, for all its operations. */
export interface NativeOutcomes {
  /**
   * n × 4 words [outcome, code, bytes, via]. outcome: 0 done, 1 absent (load, exists), 2 exists (store), 3 failed,
   * 4 aborted, 5 stuck, 6 size mismatch. code: errno of a failure, else 0. bytes: file size for exists (of a store too) and mismatch,
   * payload bytes moved for the rest; a probe's code is the errno
   * that refused a file, its bytes the one that refused direct I/O + 65536 × the one that refused hard links. via: 0 nothing moved, 1 buffered, 2 direct,
   * 3 staged with buffered I/O, 4 staged with direct I/O, 5 cuFile; bits 8 to 31: the step that failed (see steps); bits 32 up,
   * of a load that is done: where in its header the run of equal bytes begins that ends it. The code of
   * a step of CUDA's is a CUresult, of cuFile's an errno or from 5001 up a CUfileOpError. A probe of cuFile answers done,
   * with step and code where it failed; its bytes: 1 reads went direct, 2 reads went through POSIX, 4 and 8 the same of
   * writes, 16 cuFile counts at all.
   */
  words: BigInt64Array;
  /** Whether an operation may still write to the batch's memory. */
  stuck: boolean;
  /** Sums of what was loaded, for operations with a sumBlock, one after the other, ceil(payload / sumBlock) each. */
  sums: BigUint64Array;
}

export interface NativeEngineOptions {
  /** Threads of the pool. */
  ioThreads: number;
  /** Bytes a thread moves before another may take the chunk's next slice; a multiple of 4096. */
  sliceBytes: number;
  /** Open with O_DIRECT where the filesystem takes it. */
  directIo: boolean;
  /** Files kept open for reading, at most. */
  openFiles: number;
  /** A system call that takes longer is given up. */
  timeoutMs: number;
  /** Without it, device memory is refused. */
  device?: NativeDeviceSession | undefined;
  /** Whether memory is registered with cuFile, and operations may ask for it. Needed with a device. */
  useGds?: boolean | undefined;
  /** Fail what cuFile refuses, in place of staging it. Needed with a device. */
  requireGds?: boolean | undefined;
  /** Faults for tests, as native/core/files_faulty.h has them; absent in real use. */
  faults?: string | undefined;
}

/** A GPU, opened; kept alive by those who hold it. */
export interface NativeDeviceSession {
  readonly opaque: unique symbol;
}

/** What CUDA or cuFile refused: the call, the library's number (0: none), and its words. */
export interface NativeFailure {
  failure: { call: string; code: number; text: string };
}

export interface NativeDevice {
  session: NativeDeviceSession;
  name: string;
  pciBusId: string;
  memoryBytes: number;
  /** CUDA's, 1000 × major + 10 × minor. */
  driverVersion: number;
  driverPath: string;
  /** −1: the machine has one, or does not say. */
  numaNode: number;
  /** Whether the driver has cuMemcpyBatchAsync. */
  batchCopy: boolean;
  /** Where it was asked for. version: 1000 × major + 10 × minor, 0 unknown. */
  cufile?:
    | { version: number; path: string; allowsCompat: boolean; maxPinnedBytes: number; countsPaths: boolean }
    | NativeFailure;
}

/** Opens a GPU, and cuFile's driver where `cufile` is given. Empty paths: what the loader finds. */
export declare function openDevice(options: {
  index: number;
  libcuda: string;
  /** `timeoutMs`: for its driver to open. */
  cufile?: { library: string; log: string; configuration: string; timeoutMs: number } | undefined;
}): Promise<NativeDevice | NativeFailure>;

/** Lets go of a GPU: engines keep what they were given, and CUDA's context ends with the last of them. */
export declare function releaseDevice(session: NativeDeviceSession): void;

/** cuFile's version, without opening its driver. */
export declare function cufileVersion(library: string): { version: number; path: string } | NativeFailure;

/**
 * Seconds that a copy of `bytes` between pinned host memory and the GPU takes, one a run, after one each way that does
 * not count. Holds so many bytes of either memory for its time. Integers from 1 up.
 */
export declare function measureCopies(
  session: NativeDeviceSession,
  bytes: number,
  runs: number,
): Promise<{ toDevice: number[]; toHost: number[] } | NativeFailure>;

/** Names of cuFile's errors by number. */
export declare const cufileCodes: Readonly<Record<number, string>>;

/** Device memory as an engine knows it. */
export interface NativeDeviceRegion {
  region: number;
  address: bigint;
  /** With cuFile: as one, in pieces of 16 MiB, or not, and then why. */
  registered: 'whole' | 'pieces' | 'not';
  refused?: NativeFailure['failure'];
}

export declare class NativeEngine {
  constructor(options: NativeEngineOptions);
  /**
   * Makes `byteLength` bytes from the view's start usable as segments; keeps them alive until released. Of an arena, which
   * is nobody else's, whole pages are kept from children of fork, and huge ones asked for.
   */
  addHostRegion(start: Uint8Array, byteLength: number, isArena: boolean): number;
  /**
   * Makes device memory usable as segments: `bytes` of the caller's from `address`, checked against the driver; of another
   * process's allocation, by its IPC handle, from `offset`; or, with neither, new ones.
   */
  addDeviceRegion(options: {
    bytes: bigint;
    address?: bigint;
    handle?: Uint8Array;
    offset?: bigint;
  }): Promise<NativeDeviceRegion | NativeFailure>;
  /** Copies between device and host memory, at once; for filling and looking at it. */
  copyDevice(region: number, offset: number, host: Uint8Array, toDevice: boolean): NativeFailure | undefined;
  /** The IPC handle of a region that begins an allocation. */
  exportRegion(region: number): { handle: Uint8Array } | NativeFailure;
  /** Waits for all work that was given to the device in this process. */
  synchronize(): Promise<NativeFailure | undefined>;
  /** cuFile's own counts of bytes, and of calls by the way they took, for the whole process; undefined where it does not count. */
  gdsCounters():
    | {
        bytesRead: number;
        bytesWritten: number;
        reads: number;
        readsDirect: number;
        readsPosix: number;
        writes: number;
        writesDirect: number;
        writesPosix: number;
      }
    | undefined;
  /** False while a batch uses the region. */
  releaseRegion(region: number): boolean;
  /** With a failure, CUDA refused what the batch should wait for; all of it is then aborted. */
  submit(plan: NativePlan): { ticket: number; done: Promise<NativeOutcomes>; failure?: NativeFailure['failure'] };
  /** Drops what of the batch has not begun. */
  abort(ticket: number): void;
  /** Counters, in the order of `statNames`. */
  stats(into: BigUint64Array): void;
  /** Refuses new work, drops the queue, waits for what is in flight; resolves to descriptions of what is stuck. */
  close(): Promise<string[]>;
}

/** Why there is no addon; then nothing else of this module exists. */
export declare const failure: Error | undefined;
/** Names of the engine's counters, in order. */
export declare const statNames: readonly string[];
/** Names of the steps a failure can name, by number. */
export declare const stepNames: readonly string[];

/**
 * Hashes a chain of chunks: h[i] = f((h[i-1], tokens of chunk i, extra)), signed.
 *
 * @param algorithm 'builtin': CPython's tuple hash
 * @param noneHash what stands before the first chunk
 * @param tokens integers from 0 to 2^53 - 1
 * @param chunkSize tokens a chunk; a shorter tail is hashed too when `tail`
 * @param extra the tuple's third member: None or ()
 */
export declare function hashChain(
  algorithm: 'builtin',
  noneHash: bigint,
  tokens: Uint32Array | Float64Array,
  chunkSize: number,
  tail: boolean,
  extra: 'none' | 'empty',
): BigInt64Array;

/**
 * As above with XXH3-128 of the tuple's pickle (protocol 5) or canonical CBOR. Gives the first `keep` bytes of each
 * digest, one after the other, in canonical order; they are the next tuple's first member: 8 as an integer, 16 as bytes.
 *
 * @param noneHash an unsigned integer, or the bytes of a digest
 */
export declare function hashChain(
  algorithm: 'xxhash' | 'xxhash_cbor',
  noneHash: bigint | Uint8Array,
  tokens: Uint32Array | Float64Array,
  chunkSize: number,
  tail: boolean,
  extra: 'none' | 'empty',
  keep: 8 | 16,
): Uint8Array;

/** XXH3-128, seed 0: 16 bytes in canonical order. */
export declare function xxh128(bytes: Uint8Array): Uint8Array;

/** SipHash of a string's UTF-8 bytes as CPython hashes a str: rounds 1-3 (Python ≥ 3.11) or 2-4. */
export declare function pythonStringHash(utf8: Uint8Array, seed: number, rounds: '1-3' | '2-4'): bigint;

/** Bytes from the view's start to the next address that is a multiple of `boundary`, a power of two. */
export declare function bytesToBoundary(view: Uint8Array, boundary: number): number;

/** XXH3-64, seed 0, of each block of the bytes. */
export declare function blockSums(bytes: Uint8Array, blockBytes: number): BigUint64Array;
