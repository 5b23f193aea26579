/** What an algorithm must bring to stand in the table of src/hash/index.ts. */
import type { TokenArray } from '../chunks.js';
import { KVOffloadError } from '../errors.js';
import { type ChunkHash, isDigest } from './chunk-hash.js';
import type { Regime } from './regimes.js';

/** Where the chain's first link comes from. */
export interface SeedSource {
  /** `PYTHONHASHSEED`, or undefined where it is unset. */
  readonly seed: string | undefined;
  /** Of the Python that shares the cache, such as `3.11`: `builtin` depends on it. */
  readonly pythonVersion: string;
}

/** One algorithm. */
export interface HashRow {
  /** NONE_HASH: what stands before a chain's first chunk. */
  noneHash(source: SeedSource, regime: Regime): ChunkHash;
  /** One hash a chunk; one more for a tail shorter than a chunk where `tail` is set. */
  chain(tokens: TokenArray, chunkSize: number, noneHash: ChunkHash, tail: boolean, regime: Regime): ChunkHash[];
}

/** What vLLM 0.33 hashes where `PYTHONHASHSEED` is unset, so that processes agree all the same. */
export const UNSEEDED = 'vllm-none-hash';

/** How many hashes a chain has. */
export function chainLength(count: number, chunkSize: number, tail: boolean): number {
  return tail ? Math.ceil(count / chunkSize) : Math.floor(count / chunkSize);
}

/** Checks the link before a chain of digests that are integers. @throws KVOffloadError `KVO_ARGUMENT_INVALID` */
export function unsignedLink(noneHash: ChunkHash): bigint {
  if (typeof noneHash === 'bigint' && BigInt.asUintN(64, noneHash) === noneHash) return noneHash;
  throw badLink(noneHash, 'an integer from 0 to 2^64 - 1');
}

/** As {@link unsignedLink}, before a chain of whole digests: their bytes, or an integer, LMCache's 0 without vLLM. */
export function wholeLink(noneHash: ChunkHash, digestBytes: number): bigint | Uint8Array {
  if (typeof noneHash === 'bigint') return unsignedLink(noneHash);
  if (!isDigest(noneHash) || noneHash.length !== 2 * digestBytes) {
    throw badLink(noneHash, `${2 * digestBytes} lowercase hex digits`);
  }
  return Buffer.from(noneHash, 'hex');
}

/** @param expected - what it should be, for this algorithm and regime */
export function badLink(noneHash: ChunkHash, expected: string): KVOffloadError {
  return new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    `noneHash is ${noneHash}; for this algorithm and regime it is ${expected}`,
  );
}
