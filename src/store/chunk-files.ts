/** Chunk files by key or path, without a model or tokens: what scripts and the command line need. */
import { resolve } from 'node:path';
import type { Config } from '../config/index.js';
import { type HeaderDtype, headerDtype } from '../dtypes.js';
import { KVOffloadError } from '../errors.js';
import {
  type DecodedHeader,
  type Generation,
  HEADER_BYTES,
  type MemoryFormat,
  chunkPath,
  decodeHeader,
  defaultFormat,
  encodeHeaderInto,
  generationOf,
  isMemoryFormat,
  shapeBytes,
  shardPath,
  sumBlockBytes,
} from '../layout/index.js';
import { OWN_MEMORY, planLoads, planStores } from '../plan.js';
import { Transfer } from '../transfer.js';
import { type Base, openBase } from './bases.js';
import { type ChunkInspection, inspectChunk } from './inspect.js';
import { headerOnly, keyOf } from './header-only.js';
import { type ListedChunk, listBase } from './list.js';
import { usableBytes } from './memory.js';
import { compareSums, corrupt } from './verify.js';
import { transferOptions } from './options.js';

export type { ListedChunk } from './list.js';
export type { ChunkInspection } from './inspect.js';

/** What a chunk's bytes are. */
export interface TensorInfo {
  /** torch's name, a key's or a header's: `bfloat16`, `half`, `BF16`, … */
  readonly dtype: string;
  /** Dimensions, integers from 1 up. */
  readonly shape: readonly number[];
  /** LMCache's number of the memory format. Default: what the shape suggests, see docs/on-disk-format.md. */
  readonly format?: MemoryFormat;
}

export interface WriteOptions {
  /** Publish over an existing chunk. Default false: `exists`. */
  readonly replace?: boolean;
}

/** A chunk as it was read. */
export interface ReadChunk {
  /** The text of its key; absent where the file's name is none of a chunk. */
  readonly key?: string;
  readonly path: string;
  readonly dtype: HeaderDtype;
  readonly shape: readonly number[];
  readonly format: MemoryFormat;
  readonly bytes: Uint8Array;
  /** True where the payload's sums were compared with the header's; false where the header has none. */
  readonly verified: boolean;
}

/** Reads, writes and lists chunk files below base paths. */
export class ChunkFiles {
  readonly #transfer: Transfer;
  readonly #bases: readonly Base[];
  readonly #writeBase: number;
  readonly #config: Pick<Config, 'checksums' | 'sync'>;
  readonly #generation: Generation;

  /** @internal */
  constructor(
    transfer: Transfer,
    bases: readonly Base[],
    writeBase: number,
    config: Pick<Config, 'checksums' | 'sync' | 'lmcacheVersion'>,
  ) {
    this.#transfer = transfer;
    this.#bases = bases;
    this.#writeBase = writeBase;
    this.#config = config;
    this.#generation = generationOf(config.lmcacheVersion);
  }

  /**
   * Opens the base paths of a configuration, without a model. Close it when done.
   *
   * @throws KVOffloadError `KVO_PATH_UNUSABLE`, `KVO_PERMISSION`, `KVO_READ_ONLY`, `KVO_NATIVE_MISSING`
   */
  static async open(config: Config): Promise<ChunkFiles> {
    const transfer = new Transfer(transferOptions(config));
    try {
      const generation = generationOf(config.lmcacheVersion);
      const bases = await Promise.all(config.paths.map((path) => openBase(transfer, path, generation)));
      const writeBase = config.paths.indexOf(shardPath(config.paths, config.deviceIndex));
      return new ChunkFiles(transfer, bases, writeBase, config);
    } catch (error) {
      await transfer.close();
      throw error;
    }
  }

  /** The base paths as they were found. */
  get paths(): readonly Base[] {
    return this.#bases;
  }

  /**
   * Reads a chunk into memory of its own.
   *
   * @throws KVOffloadError `KVO_NOT_FOUND`, `KVO_KEY_INVALID`, `KVO_KEY_TOO_LONG`, `KVO_HEADER_INVALID`,
   *   `KVO_CHUNK_CORRUPT`, and what system calls give
   */
  async readChunk(chunk: { readonly key: string } | { readonly path: string }): Promise<ReadChunk> {
    const { path, header } = await this.#find(chunk);
    const bytes = allocate(header.payloadBytes, path);
    const segment = { region: OWN_MEMORY, offset: 0, length: bytes.byteLength };
    const sums = this.#config.checksums;
    const outcomes = await this.#transfer.run(planLoads([{ path, segments: [segment], sums }], [bytes]));
    const outcome = outcomes.outcome(0);
    if (outcome === 'absent' || outcome === 'size-mismatch') throw vanished(path);
    if (outcome !== 'done') throw outcomes.error(0);
    const compared = sums ? compareSums(path, header, outcomes.sums) : undefined;
    if (compared !== true && compared !== undefined) throw compared;
    const key = 'key' in chunk ? this.#canonical(chunk.key) : keyOf(path);
    const { dtype, shape, format } = header;
    return { ...(key !== undefined && { key }), path, dtype, shape, format, bytes, verified: compared === true };
  }

  /**
   * Writes a chunk, published whole or not at all.
   *
   * @param key - as `kv-offload keys` prints it
   * @param bytes - exactly as many as shape and dtype take
   * @throws KVOffloadError `KVO_KEY_INVALID`, `KVO_KEY_TOO_LONG`, `KVO_DTYPE_UNKNOWN`, `KVO_SHAPE_MISMATCH`,
   *   `KVO_ARGUMENT_INVALID`, `KVO_MEMORY_INVALID`, and what system calls give
   */
  async writeChunk(
    key: string,
    tensor: TensorInfo,
    bytes: NodeJS.ArrayBufferView,
    options: WriteOptions = {},
  ): Promise<'stored' | 'exists'> {
    const spelled = this.#canonical(key);
    const path = this.#pathOf(spelled, this.#writeBase);
    const dtype = headerDtype(tensor.dtype);
    const format = tensor.format ?? defaultFormat(tensor.shape);
    if (!isMemoryFormat(format)) {
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        `fmt ${String(format)} is none of LMCache's; it is a number from 0 to 8`,
      );
    }
    const payload = usableBytes(bytes, 'the bytes to write');
    const expected = shapeBytes(tensor.shape, dtype);
    if (payload.byteLength !== expected) {
      throw new KVOffloadError(
        'KVO_SHAPE_MISMATCH',
        `${payload.byteLength} bytes were given, but ${dtype} [${tensor.shape.join(', ')}] takes ${expected}`,
      );
    }
    const sumBlock = this.#config.checksums ? sumBlockBytes(expected) : 0;
    const header = { dtype, shape: tensor.shape, format, extras: { key: spelled, ...(sumBlock > 0 && { sumBlock }) } };
    const store = {
      path,
      segments: [{ region: OWN_MEMORY, offset: 0, length: expected }],
      sumBlock,
      sync: this.#config.sync,
      replace: options.replace ?? false,
      writeHeader: (headers: Uint8Array, at: number) => encodeHeaderInto(headers, at, header, this.#generation.header),
    };
    const outcomes = await this.#transfer.run(planStores([store], [payload]));
    const outcome = outcomes.outcome(0);
    if (outcome === 'done') return 'stored';
    if (outcome !== 'exists') throw outcomes.error(0);
    checkFile(path, decodeHeader(outcomes.headers, 0, path), outcomes.bytes(0), spelled);
    return 'exists';
  }

  /** Every chunk below the base paths, of any model, in no order. Files that are none, or broken, say so in `problem`. */
  async *listChunks(): AsyncGenerator<ListedChunk, void, undefined> {
    for (const base of this.#bases) yield* listBase(this.#transfer, base.path);
  }

  /** What a data file, its header and its sidecar say, and whether they agree. @throws KVOffloadError `KVO_NOT_FOUND` */
  inspect(path: string): Promise<ChunkInspection> {
    return inspectChunk(this.#transfer, resolve(path));
  }

  /** Waits for what is in flight. Resolves to what is stuck in the kernel. */
  close(): Promise<readonly string[]> {
    return this.#transfer.close();
  }

  /** A key as LMCache spells it: given keys may have their hash in capitals, or with `0x`. */
  #canonical(key: string): string {
    const { parse, format } = this.#generation.key;
    return format(parse(key));
  }

  #pathOf(key: string, base: number): string {
    const { path = '', suffix = '' } = this.#bases[base] ?? {};
    return chunkPath(this.#generation, path, this.#generation.key.parse(key), suffix);
  }

  /** The file of a chunk and its header, checked against each other. */
  async #find(
    chunk: { readonly key: string } | { readonly path: string },
  ): Promise<{ path: string; header: DecodedHeader }> {
    const paths = 'key' in chunk ? this.#bases.map((_, base) => this.#pathOf(chunk.key, base)) : [resolve(chunk.path)];
    const outcomes = await this.#transfer.run(planLoads(paths.map(headerOnly), []));
    for (const [operation, path] of paths.entries()) {
      const outcome = outcomes.outcome(operation);
      if (outcome === 'absent') continue;
      if (outcome !== 'done' && outcome !== 'size-mismatch') throw outcomes.error(operation);
      const header = decodeHeader(outcomes.headers, operation * HEADER_BYTES, path);
      checkFile(path, header, outcomes.bytes(operation), 'key' in chunk ? this.#canonical(chunk.key) : keyOf(path));
      return { path, header };
    }
    throw new KVOffloadError('KVO_NOT_FOUND', `no chunk at ${paths.join(' or ')}`);
  }
}

function checkFile(path: string, header: DecodedHeader, fileBytes: number, key: string | undefined): void {
  if (fileBytes !== HEADER_BYTES + header.payloadBytes)
    throw corrupt(path, `it has ${fileBytes} bytes, and its header says ${HEADER_BYTES + header.payloadBytes}`);
  const said = header.extras?.key;
  if (said !== undefined && key !== undefined && said !== key)
    throw corrupt(path, `it says that it is the chunk ${said}`);
}

function vanished(path: string): KVOffloadError {
  return new KVOffloadError('KVO_NOT_FOUND', `${path} vanished or changed while it was read; try again`);
}

function allocate(bytes: number, path: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_MEMORY_INVALID',
      `${path} has ${bytes} bytes, more than this process can hold at once`,
      cause,
    );
  }
}
