/** The library's side: an engine on the GPU, its memory filled, emptied and compared. */
import { type DeviceRegion, KVCacheEngine, type Prompt, Slot, type TransportInfo, loadConfig } from 'kv-offload';
import { filesHold } from './files.js';
import { Pattern, Places } from './pattern.js';

const MIB = 2 ** 20;
const CHUNK_TOKENS = 256;
const WINDOW = 64 * MIB;
const LIBCUDA = process.env['KV_OFFLOAD_LIBCUDA_PATH'];

/** A chunk's memory: a slot, or blocks of paged memory. */
type Memory = Slot | { readonly memory: DeviceRegion; readonly offsets: BigUint64Array; readonly length: number };

export interface OursOptions {
  readonly directory: string;
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly threads: number;
  readonly checksums: boolean;
  readonly transport: 'auto' | 'staged' | 'gds';
  /** Bytes of a segment of paged memory; absent: a slot a chunk. */
  readonly segment?: number;
}

/** KV shape of so many bytes in bfloat16, or of a single byte. */
function modelOf(bytes: number) {
  if (bytes === 1) {
    return { modelName: 'bench', kvDtype: 'fp8_e4m3fn', kvShape: [1, 1, 1, 1, 1] as const, useMla: true };
  }
  const perHead = 2 * CHUNK_TOKENS * 128 * 2;
  const heads = bytes % (perHead * 8) === 0 ? 8 : 2;
  return {
    modelName: 'bench',
    kvDtype: 'bfloat16',
    kvShape: [bytes / (perHead * heads), 2, CHUNK_TOKENS, heads, 128] as const,
  };
}

/** One engine and the memory of its chunks. */
export class Ours implements AsyncDisposable {
  readonly #engine: KVCacheEngine;
  readonly #options: OursOptions;
  readonly #pattern: Pattern;
  readonly #prompt: Prompt;
  readonly #memory: Memory[];
  readonly #places: Places | undefined;
  readonly #region: DeviceRegion | undefined;

  private constructor(engine: KVCacheEngine, options: OursOptions, memory: Memory[], paged?: Paged) {
    this.#engine = engine;
    this.#options = options;
    this.#pattern = new Pattern(options.chunkBytes);
    const chunkTokens = options.chunkBytes === 1 ? 1 : CHUNK_TOKENS;
    this.#prompt = engine.prepare(Uint32Array.from({ length: options.chunks * chunkTokens }, (_, i) => i));
    this.#memory = memory;
    this.#places = paged?.places;
    this.#region = paged?.region;
  }

  static async open(options: OursOptions): Promise<Ours> {
    const { chunkBytes, chunks, segment } = options;
    // A slot takes 64 KiB at least; paged memory is none of the engine's own, which then needs one slot for itself.
    const slotMiB = Math.ceil((Math.max(chunkBytes, 64 * 1024) * (segment === undefined ? chunks : 1)) / MIB);
    const config = await loadConfig({
      env: {},
      overrides: {
        weka_path: options.directory,
        chunk_size: chunkBytes === 1 ? 1 : CHUNK_TOKENS,
        cufile_buffer_size: slotMiB,
        extra_config: {
          disk_io_threads: options.threads,
          kv_offload: {
            ...{ checksums: options.checksums, device: 'cuda', transport: options.transport },
            ...(LIBCUDA !== undefined && { libcuda_path: LIBCUDA }),
          },
        },
      },
    });
    const engine = await KVCacheEngine.open(config, modelOf(chunkBytes));
    if (segment === undefined) return new Ours(engine, options, await engine.lease(chunks));
    const paged = await Paged.in(engine, chunks * chunkBytes, segment);
    return new Ours(engine, options, paged.targets(chunks, chunkBytes), paged);
  }

  get transport(): TransportInfo {
    return this.#engine.transport;
  }

  /** Chunk i's bytes into its place. */
  fill(): void {
    if (this.#region !== undefined && this.#places !== undefined) {
      const region = this.#region;
      this.#eachWindow(this.#places, (at, window, pieces) => {
        for (const { bytes, chunk, offset } of pieces) this.#pattern.bytes(chunk, offset, bytes.length).copy(bytes);
        region.copyFrom(window, at);
      });
    } else {
      for (const [chunk, slot] of this.#slots()) slot.copyFrom(this.#pattern.bytes(chunk));
    }
  }

  /** Other bytes into every place, so that nothing passes by having been there before. */
  poison(): void {
    const other = Buffer.alloc(Math.min(WINDOW, this.#total), 0xa5);
    if (this.#region === undefined) {
      for (const [, slot] of this.#slots()) slot.copyFrom(other.subarray(0, this.#options.chunkBytes));
    } else {
      for (let at = 0; at < this.#total; at += other.length) {
        this.#region.copyFrom(other.subarray(0, Math.min(other.length, this.#total - at)), at);
      }
    }
  }

  /** Whether every byte on the device is what its chunk's must be. */
  deviceHolds(): boolean {
    if (this.#region !== undefined && this.#places !== undefined) return this.#pagedHolds(this.#region, this.#places);
    const bytes = Buffer.alloc(this.#options.chunkBytes);
    for (const [chunk, slot] of this.#slots()) {
      slot.copyTo(bytes);
      if (!this.#pattern.holds(bytes, chunk)) return false;
    }
    return true;
  }

  filesHold(): boolean {
    return filesHold(this.#options.directory, this.#pattern, this.#options.chunks);
  }

  async store(): Promise<void> {
    const { chunks } = await this.#engine.store(this.#prompt, this.#memory);
    const wrong = chunks.find((chunk) => chunk.outcome !== 'stored');
    if (wrong) throw new Error(`a chunk was ${wrong.outcome}, not stored`, { cause: wrong.error });
  }

  async retrieve(): Promise<void> {
    const { tokens, chunks } = await this.#engine.retrieve(this.#prompt, this.#memory);
    if (tokens === this.#prompt.length) return;
    const wrong = chunks.find((chunk) => chunk.outcome !== 'hit');
    throw new Error(`only ${tokens} of ${this.#prompt.length} tokens were retrieved`, { cause: wrong?.error });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close();
  }

  get #total(): number {
    return this.#options.chunks * this.#options.chunkBytes;
  }

  #slots(): [number, Slot][] {
    return this.#memory.map((slot, chunk) => {
      if (!(slot instanceof Slot)) throw new Error('paged memory has no slots');
      return [chunk, slot];
    });
  }

  #pagedHolds(region: DeviceRegion, places: Places): boolean {
    let same = true;
    this.#eachWindow(places, (at, window, pieces) => {
      region.copyTo(window, at);
      for (const { bytes, chunk, offset } of pieces) same &&= this.#pattern.holds(bytes, chunk, offset);
    });
    return same;
  }

  /** Paged memory in its own order, a window of host memory at a time, and whose bytes each piece of it is. */
  #eachWindow(
    places: Places,
    work: (at: number, window: Buffer, pieces: Iterable<{ bytes: Buffer; chunk: number; offset: number }>) => void,
  ): void {
    const { chunkBytes } = this.#options;
    const { segment } = places;
    const all = places.pieces();
    const perWindow = Math.min(WINDOW, this.#total) / segment;
    const memory = Buffer.alloc(perWindow * segment);
    for (let first = 0; first < all.length; first += perWindow) {
      const count = Math.min(perWindow, all.length - first);
      const window = memory.subarray(0, count * segment);
      const pieces = function* () {
        for (let i = 0; i < count; i++) {
          const origin = (all[first + i] ?? 0) * segment;
          const bytes = window.subarray(i * segment, (i + 1) * segment);
          yield { bytes, chunk: Math.floor(origin / chunkBytes), offset: origin % chunkBytes };
        }
      };
      work(first * segment, window, pieces());
    }
  }
}

/** Paged memory: one region, and each chunk's segments anywhere in it. */
class Paged {
  readonly region: DeviceRegion;
  readonly places: Places;

  private constructor(region: DeviceRegion, places: Places) {
    this.region = region;
    this.places = places;
  }

  static async in(engine: KVCacheEngine, total: number, segment: number): Promise<Paged> {
    return new Paged(await engine.allocateDevice(total), new Places(total, segment));
  }

  /** Each chunk's memory, its segments in the chunk's order. */
  targets(chunks: number, chunkBytes: number): Memory[] {
    const { segment } = this.places;
    const each = chunkBytes / segment;
    return Array.from({ length: chunks }, (_, chunk) => ({
      memory: this.region,
      offsets: BigUint64Array.from({ length: each }, (_piece, piece) =>
        BigInt(this.places.placeOf(chunk * each + piece)),
      ),
      length: segment,
    }));
  }
}
