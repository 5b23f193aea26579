/** Tokens → one hash a chunk, as LMCache names chunks. Algorithms are rows of one table, regimes of another. */
import type { TokenArray } from '../chunks.js';
import type { Config, HashAlgorithm, HashRegime } from '../config/index.js';
import { builtin } from './builtin.js';
import { CBOR } from './cbor-tuple.js';
import type { ChunkHash } from './chunk-hash.js';
import { digestRow, sha256 } from './digest-chain.js';
import { PICKLE } from './pickle.js';
import { regimeFor } from './regimes.js';
import type { HashRow, SeedSource } from './row.js';
import { xxhRow } from './xxh-chain.js';

export { type ChunkHash, isDigest, pythonText } from './chunk-hash.js';
export { prefixDigests } from './prefix.js';
export type { HashRow, SeedSource } from './row.js';

/** Every algorithm of `pre_caching_hash_algorithm`. */
export const HASH_ROWS: Readonly<Record<HashAlgorithm, HashRow>> = {
  sha256_cbor: digestRow(CBOR, sha256),
  sha256: digestRow(PICKLE, sha256),
  xxhash_cbor: xxhRow('xxhash_cbor', CBOR),
  xxhash: xxhRow('xxhash', PICKLE),
  builtin,
};

/** Today's regime: LMCache 0.4.6 and later. */
const CURRENT_REGIME: HashRegime = 'C';

/**
 * NONE_HASH, what stands before a chain's first chunk: the algorithm's hash of the seed text. That is
 * `PYTHONHASHSEED` where set, else `vllm-none-hash`, vLLM 0.33's constant for sha256 and sha256_cbor. The other
 * algorithms are random a process there, so that ours agree with each other alone; builtin takes the key of seed 0.
 *
 * @param regime - default today's, C
 * @throws KVOffloadError `KVO_CONFIG_INVALID_VALUE` for a seed or Python version that builtin cannot use, and for a regime
 *   that is not known of the algorithm
 */
export function noneHash(algorithm: HashAlgorithm, source: SeedSource, regime: HashRegime = CURRENT_REGIME): ChunkHash {
  return HASH_ROWS[algorithm].noneHash(source, regimeFor(algorithm, regime));
}

/** What of a configuration decides NONE_HASH. */
export type HashSettings = Pick<
  Config,
  'preCachingHashAlgorithm' | 'hashRegime' | 'noneHash' | 'hashSeed' | 'pythonVersion'
>;

/** NONE_HASH of a configuration: 0 where `none_hash` is `zero`, as in LMCache without vLLM. @throws as {@link noneHash} */
export function configuredNoneHash(config: HashSettings): ChunkHash {
  const { preCachingHashAlgorithm, hashRegime, hashSeed: seed, pythonVersion } = config;
  const seeded = noneHash(preCachingHashAlgorithm, { seed, pythonVersion }, hashRegime);
  return config.noneHash === 'zero' ? 0n : seeded;
}

/** What {@link hashChunks} needs beside the tokens. */
export interface HashOptions {
  readonly algorithm: HashAlgorithm;
  /** Default today's, C. */
  readonly regime?: HashRegime;
  /** Tokens a chunk. */
  readonly chunkSize: number;
  /** From {@link noneHash}, of the same algorithm and regime; 0n is what LMCache uses without vLLM. */
  readonly noneHash: ChunkHash;
  /** Whether a tail shorter than a chunk is hashed too. Default false. */
  readonly saveUnfullChunk?: boolean;
}

/**
 * The hash of every chunk from the first token on, a skipped prefix included: the chain runs through it.
 *
 * @returns one hash a chunk: signed integers for builtin, else unsigned ones, or whole digests in the regimes B
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for a noneHash of another algorithm or regime; `KVO_CONFIG_INVALID_VALUE`
 *   for a regime that is not known of the algorithm
 */
export function hashChunks(tokens: TokenArray, options: HashOptions): ChunkHash[] {
  const { algorithm, regime = CURRENT_REGIME, chunkSize, saveUnfullChunk = false } = options;
  const row = HASH_ROWS[algorithm];
  return row.chain(tokens, chunkSize, options.noneHash, saveUnfullChunk, regimeFor(algorithm, regime));
}
