/** A prompt's chunks by hash, key and path, without a model's shape. */
import { resolve } from 'node:path';
import { chunkRanges, type TokenArray } from '../chunks.js';
import type { Config } from '../config/index.js';
import { keyDtype } from '../dtypes.js';
import { KVOffloadError } from '../errors.js';
import { type ChunkHash, configuredNoneHash, hashChunks } from '../hash/index.js';
import type { KeyIdentity } from '../keys.js';
import { type ChunkNamer, type Generation, chunkNamer, findMount, generationOf } from '../layout/index.js';
import type { PromptOptions } from './options.js';
import { readTokens } from './tokens.js';

/** One chunk. */
export interface NamedChunk {
  readonly start: number;
  readonly end: number;
  readonly hash: ChunkHash;
  readonly key: string;
  /** Below each base, in their order. */
  readonly paths: readonly string[];
}

export interface NamedPrompt {
  readonly tokens: TokenArray;
  readonly chunks: readonly NamedChunk[];
}

/**
 * Reads the tokens and names their chunks.
 *
 * @param bases - directories; empty for paths that are relative to any
 * @throws KVOffloadError `KVO_TOKENS_INVALID`, `KVO_DTYPE_UNKNOWN`, `KVO_KEY_INVALID`, `KVO_KEY_TOO_LONG`,
 *   `KVO_ARGUMENT_INVALID`, and `KVO_NATIVE_MISSING` for `builtin` without the addon
 */
export async function namePrompt(
  options: PromptOptions,
  config: Config,
  bases: readonly string[],
): Promise<NamedPrompt> {
  const identity: KeyIdentity = {
    modelName: options.model,
    worldSize: options.worldSize,
    workerId: options.workerId,
    dtype: keyDtype(options.dtype),
    ...(options.tag !== undefined && { tags: options.tag }),
  };
  const relative = bases.length === 0;
  const generation = generationOf(config.lmcacheVersion);
  const namers = (relative ? [''] : bases).map((base) => namerOf(generation, base, identity, options.fstype));
  const tokens = await readTokens(tokensFile(options.tokens));
  const { chunkSize, saveUnfullChunk, preCachingHashAlgorithm: algorithm, hashRegime: regime } = config;
  const none = configuredNoneHash(config);
  const hashes = hashChunks(tokens, { algorithm, regime, chunkSize, noneHash: none, saveUnfullChunk });
  const chunks = chunkRanges(tokens.length, chunkSize, { saveUnfullChunk }).map(({ index, start, end }): NamedChunk => {
    const hash = hashes[index] ?? 0n;
    const paths = namers.map((namer) => (relative ? namer.path(hash).slice(1) : namer.path(hash)));
    return { start, end, hash, key: namers[0]?.key(hash) ?? '', paths };
  });
  return { tokens, chunks };
}

function namerOf(generation: Generation, base: string, identity: KeyIdentity, fstype: string | undefined): ChunkNamer {
  const type = fstype ?? (base === '' ? '' : findMount(base).type);
  return chunkNamer(generation, base === '' ? '' : resolve(base), identity, generation.suffix(type));
}

function tokensFile(given: string | undefined): string {
  if (given !== undefined) return given;
  if (!process.stdin.isTTY) return '-';
  throw new KVOffloadError('KVO_ARGUMENT_INVALID', 'no tokens are given; use --tokens FILE, or pipe them in');
}
