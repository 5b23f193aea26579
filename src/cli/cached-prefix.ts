/** Which chunks of a named prompt are cached, by their headers; the model's shape need not be known. */
import type { Config } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import { prefixDigests } from '../hash/index.js';
import type { ChunkFiles, ChunkInspection } from '../store/chunk-files.js';
import type { NamedChunk, NamedPrompt } from './name-prompt.js';

/** Chunks asked for at a time. */
const BATCH = 64;

/** One chunk of the prefix, as JSON shows it. */
export interface CachedChunk {
  readonly start: number;
  readonly end: number;
  readonly hash: string;
  readonly key: string;
  readonly path: string;
  readonly bytes: number;
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface CachedPrefix {
  readonly cached: readonly CachedChunk[];
  /** Of the first chunk that is not cached, where it has a file. */
  readonly problem?: KVOffloadError;
}

/** The longest prefix of chunks that have a sound file below one of their paths. */
export async function cachedPrefix(files: ChunkFiles, prompt: NamedPrompt, config: Config): Promise<CachedPrefix> {
  const digests = prefixDigests(prompt.tokens, config.chunkSize, { saveUnfullChunk: config.saveUnfullChunk });
  const cached: CachedChunk[] = [];
  for (let at = 0; at < prompt.chunks.length; at += BATCH) {
    const batch = prompt.chunks.slice(at, at + BATCH);
    const found = await Promise.all(batch.map((chunk, i) => find(files, chunk, digests[at + i])));
    for (const one of found) {
      if (one === undefined) return { cached };
      if (one instanceof KVOffloadError) return { cached, problem: one };
      cached.push(one);
    }
  }
  return { cached };
}

/** A chunk that can be used, why none can, or undefined where there is no file. */
async function find(
  files: ChunkFiles,
  chunk: NamedChunk,
  digest: string | undefined,
): Promise<CachedChunk | KVOffloadError | undefined> {
  let problem: KVOffloadError | undefined;
  for (const path of chunk.paths) {
    const inspection = await files.inspect(path).catch((error: unknown) => {
      if (error instanceof KVOffloadError && error.code === 'KVO_NOT_FOUND') return undefined;
      throw error;
    });
    if (inspection === undefined) continue;
    const judged = judge(inspection, chunk, digest);
    if (!(judged instanceof KVOffloadError)) return judged;
    problem ??= judged;
  }
  return problem;
}

function judge(
  { path, header, sidecar, problems }: ChunkInspection,
  chunk: NamedChunk,
  digest: string | undefined,
): CachedChunk | KVOffloadError {
  // The last problem is the sidecar's where that differs; it does not count beside the data file.
  const own = sidecar === 'differs' ? problems.slice(0, -1) : problems;
  const [problem] = own;
  if (problem !== undefined) return problem;
  if (header === undefined) return new KVOffloadError('KVO_HEADER_INVALID', `${path} has no header`);
  if (header.extras?.prefix !== undefined && header.extras.prefix !== digest) {
    return new KVOffloadError(
      'KVO_CHUNK_COLLISION',
      `${path} is the chunk of another prompt with the same 64-bit hash`,
    );
  }
  const { start, end, key } = chunk;
  const { payloadBytes: bytes, dtype, shape } = header;
  return { start, end, hash: chunk.hash.toString(), key, path, bytes, dtype, shape };
}
