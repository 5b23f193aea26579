/** This library as a contender: an engine with a slot for every chunk, and bytes that are known. */
import { randomFillSync } from 'node:crypto';
import { loadConfig } from '../../config/index.js';
import { KVOffloadError } from '../../errors.js';
import type { Slot } from '../../store/slot.js';
import { KVCacheEngine } from '../../store/engine.js';
import type { Prompt } from '../../store/prompt.js';
import type { ChunkResult } from '../../store/types.js';
import { type Contender, dataFilesBelow, withoutFiles } from './contenders.js';
import { setAside } from './set-aside.js';
import { timed } from './timing.js';
import type { ChunkPreset } from './presets.js';

const MIB = 2 ** 20;
/** A slot is rounded up to so many bytes. */
const SLOT = 64 * 1024;
/** Each chunk is a window of the same random bytes, so many further than the one before. */
const STEP = 8;

export interface OurOptions {
  readonly preset: ChunkPreset;
  readonly directory: string;
  readonly chunks: number;
  readonly threads: number;
  /** Chunks a call. */
  readonly depth: number;
  readonly direct: boolean;
  readonly sums: boolean;
  /** Further settings of `kv_offload`. */
  readonly own: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Bytes of memory that the slots of {@link Ours} take, host memory or a GPU's. */
export function slotMemory(preset: ChunkPreset, chunks: number): number {
  return chunks * (Math.ceil(preset.chunkBytes / SLOT) * SLOT);
}

/** Bytes of host memory that it takes beside them. */
export function patternMemory(preset: ChunkPreset, chunks: number): number {
  return preset.chunkBytes + chunks * STEP;
}

/** An open engine on a directory, and what passes through it. */
export class Ours implements Contender {
  readonly by = 'kv-offload';
  readonly engine: KVCacheEngine;
  readonly slots: readonly Slot[];
  readonly #options: OurOptions;
  readonly #bytes: Buffer;
  /** A chunk's bytes on their way to be compared; undefined where slots can be read in place. */
  readonly #between: Buffer | undefined;
  readonly #batches: readonly (readonly [Prompt, readonly Slot[]])[];
  /** Whether each slot of a GPU's holds its chunk's bytes. */
  #isFilled = false;
  /** How chunks moved since somebody asked, by `via`. */
  #vias: Record<string, number> = {};

  private constructor(engine: KVCacheEngine, slots: readonly Slot[], options: OurOptions) {
    const { preset, chunks, depth } = options;
    this.engine = engine;
    this.slots = slots;
    this.#options = options;
    this.#bytes = Buffer.allocUnsafe(preset.chunkBytes + chunks * STEP);
    randomFillSync(this.#bytes);
    this.#between = engine.transport.kind === 'host' ? undefined : Buffer.alloc(preset.chunkBytes);
    const tokens = Uint32Array.from({ length: chunks * preset.chunkTokens }, (_, i) => i);
    // Hashed beforehand: what is measured is bytes, and lookup has a row of its own.
    this.#batches = Array.from({ length: Math.ceil(chunks / depth) }, (_, batch) => {
      const from = batch * depth;
      const to = Math.min(from + depth, chunks);
      const part = tokens.subarray(0, to * preset.chunkTokens);
      return [engine.prepare(part, { skipTokens: from * preset.chunkTokens }), slots.slice(from, to)] as const;
    });
  }

  static async open(options: OurOptions): Promise<Ours> {
    const { preset, directory, chunks, threads, direct, sums, own } = options;
    const config = await loadConfig({
      overrides: {
        weka_path: directory,
        chunk_size: preset.chunkTokens,
        cufile_buffer_size: Math.ceil(slotMemory(preset, chunks) / MIB),
        min_retrieve_tokens: 0,
        use_layerwise: false,
        save_unfull_chunk: false,
        use_direct_io: direct,
        extra_config: { disk_io_threads: threads, kv_offload: { checksums: sums, ...own } },
      },
    });
    const engine = await KVCacheEngine.open(config, preset.model);
    try {
      return new Ours(engine, await engine.lease(chunks), options);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  ready(): void {
    this.emptied();
    this.fill();
  }

  /** Its directory without files. Directories stay: the run that does not count has made them. */
  emptied(): void {
    // As plain_gpu does: who is held against another makes files under the same conditions.
    if (this.#between === undefined) withoutFiles(this.#options.directory);
    else setAside(this.#options.directory);
  }

  async store(): Promise<number> {
    return timed(async () => {
      for (const [prompt, slots] of this.#batches) {
        this.#seen(requireAll('stored', (await this.engine.store(prompt, slots, this.#options)).chunks));
      }
    });
  }

  async retrieve(): Promise<number> {
    return timed(async () => {
      for (const [prompt, slots] of this.#batches) {
        this.#seen(requireAll('hit', (await this.engine.retrieve(prompt, slots, this.#options)).chunks));
      }
    });
  }

  files(): string[] {
    return dataFilesBelow(this.#options.directory);
  }

  /** The bytes of a chunk. */
  expected(chunk: number): Buffer {
    return this.#bytes.subarray(chunk * STEP, chunk * STEP + this.#options.preset.chunkBytes);
  }

  /** Puts each chunk's bytes into its slot. */
  fill(): void {
    // A store reads host memory through the processor's caches, and finds there what was just written; a GPU's it does not.
    if (this.#isFilled) return;
    for (const [i, slot] of this.slots.entries()) slot.copyFrom(this.expected(i));
    this.#isFilled = this.#between !== undefined;
  }

  clear(): void {
    this.#isFilled = false;
    this.#between?.fill(0);
    for (const slot of this.slots) {
      if (this.#between === undefined) slot.bytes.fill(0);
      else slot.copyFrom(this.#between);
    }
  }

  /** Compares every byte. @throws KVOffloadError `KVO_CHUNK_CORRUPT` */
  verify(): void {
    for (const [i, slot] of this.slots.entries()) {
      if (this.#between !== undefined) slot.copyTo(this.#between);
      if (this.expected(i).compare(this.#between ?? slot.bytes) === 0) continue;
      throw new KVOffloadError(
        'KVO_CHUNK_CORRUPT',
        `chunk ${i} came back with other bytes than were stored; report it`,
      );
    }
  }

  /** How many chunks moved which way since the last call. */
  takeVias(): Record<string, number> {
    const vias = this.#vias;
    this.#vias = {};
    return vias;
  }

  #seen(chunks: readonly ChunkResult<string>[]): void {
    for (const { via } of chunks) this.#vias[via] = (this.#vias[via] ?? 0) + 1;
  }

  /** Gives the engine's memory back, waiting for what is in flight. */
  async end(): Promise<void> {
    await this.engine.close();
  }

  close(): void {
    void this.end();
  }
}

/** The chunks, all of that outcome. @throws the first other chunk's error */
export function requireAll(outcome: string, chunks: readonly ChunkResult<string>[]): readonly ChunkResult<string>[] {
  const other = chunks.find((chunk) => chunk.outcome !== outcome);
  if (other === undefined) return chunks;
  throw other.error ?? new KVOffloadError('KVO_IO', `chunk ${other.index} became ${other.outcome}, not ${outcome}`);
}
