/** The facade: one engine a model and process, on as many base paths as are configured. */
import type { Tokens } from '../chunks.js';
import type { Config } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import type { Wait } from '../plan.js';
import type { GdsCounters, Transfer, TransferOptions } from '../transfer.js';
import { waitFor } from './after.js';
import type { Arena, LeaseOptions } from './arena.js';
import type { Base } from './bases.js';
import { traced } from './channels.js';
import { ChunkFiles, type ListedChunk, type ReadChunk, type TensorInfo, type WriteOptions } from './chunk-files.js';
import type { ChunkSet } from './chunk-set.js';
import { DeviceRegion, type IpcMemory, checkDeviceRange, checkIpc } from './device-region.js';
import type { GpuInfo } from './gpu.js';
import { lookup } from './lookup.js';
import { usableBytes } from './memory.js';
import { MemoryRegion } from './memory-region.js';
import { openSession } from './open-session.js';
import { Prompt } from './prompt.js';
import { retrieve } from './retrieve.js';
import type { Counters, Session } from './session.js';
import type { Slot } from './slot.js';
import { storeChunks } from './store-chunks.js';
import { type TransportInfo, describeTransport, warnOfPosix } from './transport.js';
import type { CallOptions, ChunkMemory, ModelDescription, MoveOptions, RetrieveResult, StoreResult } from './types.js';

/** Tokens, or what {@link KVCacheEngine.prepare} made of them. */
export type PromptLike = Tokens | Prompt;

/** What {@link KVCacheEngine.close} found stuck in the kernel: system call, path and time. */
export interface CloseReport {
  readonly stuck: readonly string[];
}

/** Numbers of an engine since it was opened. */
export interface EngineStats extends Readonly<Counters> {
  /** Slots of the registered buffer, and how many can be leased now. */
  readonly slots: { readonly total: number; readonly available: number };
  /** The I/O threads' own counters; bytes by how they moved. */
  readonly io: Readonly<Record<string, number>>;
  /**
   * cuFile's own counts, for the whole process: its bytes, and its calls by the way that they took. Where the POSIX ones
   * are not 0, what `io` calls gds went through host memory inside cuFile. Absent without cuFile, and where it does not
   * count.
   */
  readonly cufile?: GdsCounters;
}

/**
 * Keeps a model's KV cache in files, and brings it back.
 *
 * ```ts
 * await using engine = await KVCacheEngine.open(await loadConfig(), {
 *   modelName: 'meta-llama/Llama-3.1-8B-Instruct',
 *   kvDtype: 'bfloat16',
 *   kvShape: [32, 2, 256, 8, 128],
 * });
 * const cached = await engine.lookup(tokens);
 * const slots = await engine.lease(cached / 256);
 * const { tokens: usable } = await engine.retrieve(tokens, slots);
 * ```
 *
 * `store` and `retrieve` reject only for what concerns the whole call: bad arguments, a closed engine. What goes wrong
 * with a chunk, an abort included, is that chunk's outcome.
 */
export class KVCacheEngine implements AsyncDisposable {
  /** How bytes move, and why so. */
  readonly transport: TransportInfo;
  /** The base paths as they were found; reads look at all of them. */
  readonly paths: readonly Base[];
  /** The configuration it was opened with. */
  readonly config: Config;
  readonly #session: Session;
  readonly #arena: Arena;
  readonly #files: ChunkFiles;
  readonly #gdsAtOpen: GdsCounters | undefined;
  #closing: Promise<CloseReport> | undefined;

  private constructor(session: Session, arena: Arena, gpu: GpuInfo | undefined) {
    const { transfer, bases, writeBase, config, routes } = session;
    this.#session = session;
    this.#arena = arena;
    this.#gdsAtOpen = transfer.gdsCounters();
    this.#files = new ChunkFiles(transfer, bases, writeBase, config);
    this.config = config;
    this.paths = bases;
    this.transport = describeTransport(config, bases, writeBase, gpu, routes, arena.registration);
  }

  /**
   * Opens an engine. Makes missing base directories, and tries what works in them with a temporary file.
   *
   * @param config - from `loadConfig()`
   * @param model - whose KV cache it is
   * @throws KVOffloadError `KVO_MODEL_INVALID`, `KVO_DTYPE_UNKNOWN`, `KVO_PATH_UNUSABLE`, `KVO_PERMISSION`,
   *   `KVO_READ_ONLY`, `KVO_CONFIG_INVALID_VALUE` (a buffer smaller than a chunk), `KVO_TRANSPORT_UNAVAILABLE`,
   *   `KVO_DEVICE_UNAVAILABLE`, `KVO_DEVICE_MEMORY`, `KVO_UNSUPPORTED`, `KVO_NATIVE_MISSING`, `KVO_IO_STUCK`
   */
  static async open(config: Config, model: ModelDescription): Promise<KVCacheEngine> {
    return this.openWith(config, model, {});
  }

  /** @internal For tests: with system calls that fail. */
  static async openWith(
    config: Config,
    model: ModelDescription,
    internals: Pick<TransferOptions, 'faults'>,
  ): Promise<KVCacheEngine> {
    const { session, arena, gpu } = await openSession(config, model, internals);
    return new KVCacheEngine(session, arena, gpu);
  }

  /**
   * Hashes and names a prompt's chunks once, for several calls.
   *
   * @throws KVOffloadError `KVO_TOKENS_INVALID`, `KVO_MASK_INVALID`, `KVO_ARGUMENT_INVALID`, `KVO_KEY_INVALID`
   */
  prepare(tokens: Tokens, options: Omit<CallOptions, 'signal'> = {}): Prompt {
    return new Prompt(this.#session, tokens, options);
  }

  /**
   * The longest cached prefix, in tokens, skipped ones included: a multiple of chunk_size, but for a short tail where
   * save_unfull_chunk is set. Fewer than min_retrieve_tokens count as none.
   *
   * It asks for files of the right name and size; a chunk that turns out corrupt, or another prompt's, is seen by
   * {@link retrieve}.
   *
   * @throws KVOffloadError as {@link prepare}; `KVO_CLOSED`, `KVO_ABORTED`; `KVO_IO` and its kin where the filesystem
   *   does not answer
   */
  async lookup(prompt: PromptLike, options: CallOptions = {}): Promise<number> {
    const prepared = this.#prepared(prompt, options);
    return traced('lookup', prepared, () => lookup(this.#session, prepared, options.signal));
  }

  /**
   * Stores a prompt's first `sources.length` chunks (after the skipped ones). One that exists is not written again.
   *
   * CUDA's work is not ordered with files: GPU memory that kernels still write must be waited for, by `after` or by the
   * caller.
   *
   * @param sources - each chunk's memory: a slot, a typed array, or a list of parts
   * @throws KVOffloadError as {@link prepare}; `KVO_CLOSED`, `KVO_ARGUMENT_INVALID`, `KVO_MEMORY_INVALID`,
   *   `KVO_SHAPE_MISMATCH`, `KVO_SLOT_RELEASED`, `KVO_KEY_TOO_LONG`
   */
  async store(prompt: PromptLike, sources: readonly ChunkMemory[], options: MoveOptions = {}): Promise<StoreResult> {
    const prepared = this.#prepared(prompt, options);
    return this.#store(prepared, this.#wholeSet(prepared, 'store'), sources, options);
  }

  /**
   * Reads a prompt's first `targets.length` chunks (after the skipped ones) into `targets`. `tokens` of the result is
   * the usable prefix: it ends at the first chunk that is not a hit. What a target of another outcome holds is
   * undefined. Once the promise is settled, GPU memory holds the bytes for all work given to the device from then on.
   *
   * @param targets - each chunk's memory: a slot, a typed array, or a list of parts
   * @throws KVOffloadError as {@link store}
   */
  async retrieve(
    prompt: PromptLike,
    targets: readonly ChunkMemory[],
    options: MoveOptions = {},
  ): Promise<RetrieveResult> {
    const prepared = this.#prepared(prompt, options);
    return this.#retrieve(prepared, this.#wholeSet(prepared, 'retrieve'), targets, options);
  }

  /**
   * As {@link store}, one layer of each chunk: with `use_layerwise`, every layer is an object of its own, `[T, 2, H·D]`.
   * A chunk counts as cached when all its layers are.
   *
   * @param layer - from 0
   */
  async storeLayer(
    prompt: PromptLike,
    layer: number,
    sources: readonly ChunkMemory[],
    options: MoveOptions = {},
  ): Promise<StoreResult> {
    const prepared = this.#prepared(prompt, options);
    return this.#store(prepared, this.#layerSet(prepared, layer), sources, options);
  }

  /**
   * As {@link retrieve}, one layer of each chunk.
   *
   * @param layer - from 0
   */
  async retrieveLayer(
    prompt: PromptLike,
    layer: number,
    targets: readonly ChunkMemory[],
    options: MoveOptions = {},
  ): Promise<RetrieveResult> {
    const prepared = this.#prepared(prompt, options);
    return this.#retrieve(prepared, this.#layerSet(prepared, layer), targets, options);
  }

  /**
   * Leases slots of the registered buffer, waiting for all of them at once.
   *
   * @throws KVOffloadError `KVO_BUSY` at the deadline, `KVO_ABORTED`, `KVO_CLOSED`, `KVO_ARGUMENT_INVALID`
   */
  lease(count: number, options: LeaseOptions = {}): Promise<Slot[]> {
    return this.#arena.lease(count, options);
  }

  /**
   * Registers memory of the caller's, to name parts of it in any call. Transferring its buffer while a call uses it is
   * misuse: the bytes then go to memory that is no longer anyone's.
   *
   * @throws KVOffloadError `KVO_MEMORY_INVALID`, `KVO_CLOSED`
   */
  register(memory: ArrayBufferLike | NodeJS.ArrayBufferView): MemoryRegion {
    this.#checkOpen();
    return new MemoryRegion(this.#session.transfer, usableBytes(memory, 'the memory to register'));
  }

  /**
   * Registers GPU memory of the caller's, to name parts of it in any call, with cuFile too where that is in use. It must
   * stay allocated until the region is released.
   *
   * @param address - a device pointer, checked against the driver
   * @param byteLength - bytes, all in one allocation
   * @throws KVOffloadError `KVO_MEMORY_INVALID`, `KVO_CUDA`, `KVO_CLOSED`, `KVO_UNSUPPORTED` without a GPU
   */
  async registerDevice(address: bigint, byteLength: number): Promise<DeviceRegion> {
    const transfer = this.#gpuTransfer();
    return DeviceRegion.add(transfer, checkDeviceRange(address, byteLength), 'the device memory to register');
  }

  /** Allocates GPU memory beside the buffer, freed on release. @throws KVOffloadError as {@link registerDevice} */
  async allocateDevice(byteLength: number): Promise<DeviceRegion> {
    const transfer = this.#gpuTransfer();
    const { bytes } = checkDeviceRange(1n, byteLength);
    return DeviceRegion.add(transfer, { bytes }, `device memory of ${byteLength} bytes`);
  }

  /**
   * Opens GPU memory of another process on this machine, which must keep it until the region is released.
   *
   * @throws KVOffloadError as {@link registerDevice}
   */
  async openDeviceMemory(memory: IpcMemory): Promise<DeviceRegion> {
    const transfer = this.#gpuTransfer();
    return DeviceRegion.add(transfer, checkIpc(memory), 'device memory of another process');
  }

  /** Reads one chunk by key or path. See {@link ChunkFiles.readChunk}. */
  async readChunk(chunk: { readonly key: string } | { readonly path: string }): Promise<ReadChunk> {
    this.#checkOpen();
    return this.#files.readChunk(chunk);
  }

  /** Writes one chunk by key. See {@link ChunkFiles.writeChunk}. */
  async writeChunk(
    key: string,
    tensor: TensorInfo,
    bytes: NodeJS.ArrayBufferView,
    options: WriteOptions = {},
  ): Promise<'stored' | 'exists'> {
    this.#checkOpen();
    return this.#files.writeChunk(key, tensor, bytes, options);
  }

  /** Every chunk below the base paths, of any model. See {@link ChunkFiles.listChunks}. */
  listChunks(): AsyncGenerator<ListedChunk, void, undefined> {
    this.#checkOpen();
    return this.#files.listChunks();
  }

  /** Numbers since the engine was opened. */
  stats(): EngineStats {
    const counters = this.#session.transfer.gdsCounters();
    return {
      ...this.#session.counters,
      slots: { total: this.#arena.capacity, available: this.#arena.available },
      io: this.#session.transfer.stats(),
      ...(counters && { cufile: counters }),
    };
  }

  /**
   * Refuses new work, drops what is queued, waits for what is in flight, at most blocking_timeout_secs a system call,
   * and frees. Idempotent.
   */
  close(): Promise<CloseReport> {
    this.#arena.close();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<CloseReport> {
    const { transfer, routes } = this.#session;
    const counters = transfer.gdsCounters();
    const stuck = await transfer.close();
    warnOfPosix(this.config, routes, this.#gdsAtOpen, counters);
    return { stuck };
  }

  #store(
    prompt: Prompt,
    set: ChunkSet,
    sources: readonly ChunkMemory[],
    { signal, after }: MoveOptions,
  ): Promise<StoreResult> {
    checkCount(set, sources, 'sources');
    const move = (wait?: Wait) => storeChunks(this.#session, set, sources, signal, wait);
    return traced('store', prompt, () => this.#after(after, move));
  }

  #retrieve(
    prompt: Prompt,
    set: ChunkSet,
    targets: readonly ChunkMemory[],
    { signal, after }: MoveOptions,
  ): Promise<RetrieveResult> {
    checkCount(set, targets, 'targets');
    const move = (wait?: Wait) => retrieve(this.#session, set, targets, signal, wait);
    return traced('retrieve', prompt, () => this.#after(after, move));
  }

  /** At once, where there is nothing to wait for: slots are in use from the call on. */
  async #after<Result>(after: MoveOptions['after'], move: (wait?: Wait) => Promise<Result>): Promise<Result> {
    if (after === undefined) return move();
    return move(await waitFor(this.#session.transfer, this.transport.kind, after));
  }

  #gpuTransfer(): Transfer {
    this.#checkOpen();
    if (this.transport.kind !== 'host') return this.#session.transfer;
    throw new KVOffloadError(
      'KVO_UNSUPPORTED',
      'the engine was opened for host memory; open it with kv_offload.device set to cuda',
    );
  }

  #wholeSet(prompt: Prompt, call: string): ChunkSet {
    const [set] = prompt.sets;
    if (set !== undefined && !this.config.useLayerwise) return set;
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      `use_layerwise is true: call ${call}Layer() for each layer, or set it to false`,
    );
  }

  #layerSet(prompt: Prompt, layer: number): ChunkSet {
    if (!this.config.useLayerwise) {
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        'use_layerwise is false, so that chunks hold all layers; set it to true',
      );
    }
    const set = prompt.sets[layer];
    if (set !== undefined) return set;
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      `layer is ${String(layer)}; it is an integer from 0 to ${prompt.sets.length - 1}`,
    );
  }

  #prepared(prompt: PromptLike, options: CallOptions): Prompt {
    this.#checkOpen();
    if (!(prompt instanceof Prompt)) return this.prepare(prompt, options);
    if (!prompt.isOf(this.#session)) {
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        'the prompt was prepared by another engine; prepare it with this one',
      );
    }
    if (options.skipTokens !== undefined || options.tags !== undefined) {
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        'skipTokens and tags of a prepared prompt are those given to prepare()',
      );
    }
    return prompt;
  }

  #checkOpen(): void {
    if (this.#closing) throw new KVOffloadError('KVO_CLOSED', 'the engine is closed; open another');
  }
}

function checkCount(set: ChunkSet, memory: readonly ChunkMemory[], what: string): void {
  if (!Array.isArray(memory)) {
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `${what} is no array; pass one entry a chunk`);
  }
  if (memory.length > set.chunks.length) {
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      `${memory.length} ${what} for ${set.chunks.length} chunks; pass one a chunk (a tail shorter than chunk_size is a chunk only with save_unfull_chunk)`,
    );
  }
}
