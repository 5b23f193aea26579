/** The measurement of `kv-offload bench`: chunks through the cache and back, in a directory of its own. */
import { randomFillSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import type { Slot } from '../store/arena.js';
import { KVCacheEngine } from '../store/engine.js';
import type { Prompt } from '../store/prompt.js';
import type { ChunkResult } from '../store/types.js';
import { requireDirectory } from './input.js';
import { Progress } from './progress.js';
import { outputError } from './system-errors.js';

const MIB = 2 ** 20;
/** A layer of such a chunk, keys and values of 8 heads of 128 in bfloat16, is 1 MiB. */
const CHUNK_TOKENS = 256;
/** Memory that chunks pass through, at most, or one chunk. */
const BUFFER_MIB = 512;
/** Room for a slot's alignment, and on disk for headers and directories. */
const SLACK_MIB = 1;
const DISK_SLACK = 1.05;

export interface MeasureOptions {
  /** Where the temporary directory is made. Default: the system's place for such. */
  readonly path: string | undefined;
  readonly chunks: number;
  readonly sizeMiB: number;
  readonly signal: AbortSignal;
}

export interface Measured {
  readonly operation: 'store' | 'lookup' | 'retrieve';
  readonly bytes: number;
  readonly seconds: number;
  /** 10^9 bytes a second; absent where none move. */
  readonly gbPerSecond?: number;
}

export interface BenchReport {
  readonly path: string;
  readonly filesystem: string;
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly threads: number;
  readonly checksums: boolean;
  readonly sync: boolean;
  readonly io: { readonly mode: string; readonly reason: string };
  readonly results: readonly Measured[];
}

/** Measures. Rejects when its signal fires; the directory is removed in any case. */
export async function measure(options: MeasureOptions): Promise<BenchReport> {
  const parent = options.path ?? tmpdir();
  if (parent.includes(',')) {
    // The setting would take it for several directories.
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `--path ${parent} holds a comma; choose a directory without`);
  }
  const directory = await makeDirectory(parent, options.chunks * options.sizeMiB * MIB * DISK_SLACK);
  const atExit = () => rmSync(directory, { recursive: true, force: true });
  process.on('exit', atExit);
  try {
    return await measureIn(directory, parent, options);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', atExit);
  }
}

async function makeDirectory(parent: string, bytes: number): Promise<string> {
  await requireDirectory(parent);
  const { bavail, bsize } = await statfs(parent);
  const [free, needed] = [Math.floor((bavail * bsize) / MIB), Math.ceil(bytes / MIB)];
  if (free < needed) {
    const message = `${parent} has ${free} MiB free, and ${needed} are needed; take fewer or smaller chunks`;
    throw new KVOffloadError('KVO_NO_SPACE', message);
  }
  return mkdtemp(join(parent, 'kv-offload-bench-')).catch((error: unknown) => {
    throw outputError(parent, error);
  });
}

async function measureIn(directory: string, parent: string, options: MeasureOptions): Promise<BenchReport> {
  const { chunks, sizeMiB } = options;
  const atATime = Math.min(chunks, Math.max(1, Math.floor(BUFFER_MIB / sizeMiB)));
  const config = await loadConfig({
    overrides: {
      gds_path: directory,
      chunk_size: CHUNK_TOKENS,
      gds_buffer_size: atATime * sizeMiB + SLACK_MIB,
      min_retrieve_tokens: 0,
      use_layerwise: false,
    },
  });
  const engine = await KVCacheEngine.open(config, {
    modelName: 'bench',
    kvDtype: 'bfloat16',
    kvShape: [sizeMiB, 2, CHUNK_TOKENS, 8, 128],
  });
  try {
    const slots = await engine.lease(atATime);
    const [io] = engine.transport.io;
    return {
      path: parent,
      filesystem: engine.paths[0]?.filesystem ?? 'unknown',
      chunks,
      chunkBytes: sizeMiB * MIB,
      threads: config.ioThreads,
      checksums: config.checksums,
      sync: config.sync,
      io: { mode: io?.mode ?? 'buffered', reason: io?.reason ?? '' },
      results: await measureAll(engine, slots, config, options),
    };
  } finally {
    await engine.close();
  }
}

async function measureAll(
  engine: KVCacheEngine,
  slots: readonly Slot[],
  config: Config,
  { chunks, sizeMiB, signal }: MeasureOptions,
): Promise<Measured[]> {
  const tokens = Uint32Array.from({ length: chunks * config.chunkSize }, (_, i) => i);
  const bytes = chunks * sizeMiB * MIB;
  for (const slot of slots) randomFillSync(slot.bytes);

  /** Seconds that `move` takes for all chunks, a buffer at a time. */
  const timed = async (label: string, move: (prompt: Prompt, slots: readonly Slot[]) => Promise<void>) => {
    const progress = new Progress(label, chunks);
    let ms = 0;
    try {
      for (let at = 0; at < chunks; at += slots.length) {
        const here = slots.slice(0, chunks - at);
        const prompt = engine.prepare(tokens, { skipTokens: at * config.chunkSize });
        const began = performance.now();
        await move(prompt, here);
        ms += performance.now() - began;
        signal.throwIfAborted();
        progress.advance(here.length);
      }
    } finally {
      progress.end();
    }
    return ms / 1000;
  };
  const moved = (operation: Measured['operation'], seconds: number): Measured => {
    return { operation, bytes, seconds, gbPerSecond: bytes / seconds / 1e9 };
  };

  const stored = await timed('store', async (prompt, here) => {
    requireAll('stored', (await engine.store(prompt, here, { signal })).chunks);
  });
  const began = performance.now();
  const found = await engine.lookup(tokens, { signal });
  const lookedUp = (performance.now() - began) / 1000;
  if (found !== tokens.length) {
    throw new KVOffloadError('KVO_IO', `lookup found ${found} of ${tokens.length} tokens that were just stored`);
  }
  const retrieved = await timed('retrieve', async (prompt, here) => {
    requireAll('hit', (await engine.retrieve(prompt, here, { signal })).chunks);
  });
  return [moved('store', stored), { operation: 'lookup', bytes: 0, seconds: lookedUp }, moved('retrieve', retrieved)];
}

function requireAll(outcome: string, chunks: readonly ChunkResult<string>[]): void {
  const other = chunks.find((chunk) => chunk.outcome !== outcome);
  if (other === undefined) return;
  throw other.error ?? new KVOffloadError('KVO_IO', `chunk ${other.index} became ${other.outcome}, not ${outcome}`);
}
