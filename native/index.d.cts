/**
 * The door between TypeScript and C++: each call is one crossing. Only src/transfer.ts imports the engine; src/hash/
 * may import the pure functions. Arguments are trusted in their types (TypeScript checks them before), and checked in
 * their bounds.
 */

/** A batch of file operations, as plain arrays of n operations. Copied at submit, but for the memory it names. */
export interface NativePlan {
  /** n operation kinds: 0 exists, 1 load, 2 store, 3 probe (the path is a directory: a temporary file tells what works there). */
  kinds: Uint8Array;
  /** n absolute data-file paths joined by NUL. */
  paths: string;
  /** Appended to a data file's path to name its sidecar. */
  sidecarSuffix: string;
  /** n × 4096 bytes for a plan that stores: what goes before each payload. Empty otherwise. */
  headers: Uint8Array;
  /** n block sizes in bytes for XXH3-64 sums of the payload; 0 computes none. */
  sumBlock: Uint32Array;
  /** n offsets into the header where a store writes its sums, 16 hex digits each; unused where sumBlock is 0. */
  sumAt: Uint32Array;
  /** n + 1 indices into segments / 3: operation i moves segments [segmentStart[i], segmentStart[i + 1]). */
  segmentStart: Uint32Array;
  /** Triples [region, offset, length]; region ≥ 2^32 names memory[region - 2^32]. */
  segments: BigUint64Array;
  /** Memory used by this batch alone; kept alive until the batch settles. */
  memory: readonly Uint8Array[];
  /** n bit sets: 1 sync (fsync before publishing), 2 replace (publish over an existing file). */
  flags: Uint8Array;
}

/** What a batch answers, once, for all its operations. */
export interface NativeOutcomes {
  /**
   * n × 4 words [outcome, code, bytes, via]. outcome: 0 done, 1 absent (load, exists), 2 exists (store), 3 failed,
   * 4 aborted, 5 stuck, 6 size mismatch. code: errno of a failure, else 0. bytes: file size for exists (of a store too) and mismatch,
   * payload bytes moved for the rest; a probe's code is the errno
   * that refused a file, its bytes the one that refused direct I/O + 65536 × the one that refused hard links. via: 0 nothing moved, 1 buffered, 2 direct; bits 8 up: the step that failed (see steps).
   */
  words: BigInt64Array;
  /** n × 4096 header bytes as read, for plans that load, and for the stores whose outcome is exists; else empty. */
  headers: Uint8Array;
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
  /** Faults for tests, as native/core/files_faulty.h has them; absent in real use. */
  faults?: string | undefined;
}

export declare class NativeEngine {
  constructor(options: NativeEngineOptions);
  /** Makes `byteLength` bytes from the view's start usable as segments; keeps them alive until released. */
  addHostRegion(start: Uint8Array, byteLength: number): number;
  /** False while a batch uses the region. */
  releaseRegion(region: number): boolean;
  submit(plan: NativePlan): { ticket: number; done: Promise<NativeOutcomes> };
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
