/** What a caller hands in as a chunk's memory → segments that the native engine takes. */
import { types } from 'node:util';
import { KVOffloadError } from '../errors.js';
import { OWN_MEMORY, type Segment } from '../plan.js';
import { MemoryRegion } from './memory-region.js';
import { Slot } from './slot.js';
import { DeviceRegion } from './device-region.js';
import type { Transfer } from '../transfer.js';
import type { ChunkMemory, MemoryPart } from './types.js';

/** The memory of one batch: segments a chunk, and the buffers and slots that must stay until it settles. */
export class BatchMemory {
  /** The caller's own buffers, which segments name from OWN_MEMORY up. */
  readonly buffers: Uint8Array[] = [];
  readonly #slots: Slot[] = [];
  /** The chunk of each slot. */
  readonly #chunks: number[] = [];
  readonly #transfer: Transfer;
  /** Where the segment lies that was looked at last. */
  #onDevice = false;

  /** @param transfer - where slots and regions must be registered */
  constructor(transfer: Transfer) {
    this.#transfer = transfer;
  }

  /**
   * The segments of one chunk.
   *
   * @param chunk - what the batch calls it, in {@link settle} and messages
   * @param bytes - what the chunk's shape and dtype take; the memory must have exactly as many, a slot at least
   * @throws KVOffloadError `KVO_MEMORY_INVALID`, `KVO_SHAPE_MISMATCH`, `KVO_SLOT_RELEASED`
   */
  resolve(chunk: number, memory: ChunkMemory, bytes: number): Segment[] {
    // The rule, and worth its own few lines: retrieves of thousands of small chunks wait for this.
    if (memory instanceof Slot && memory.byteLength >= bytes) {
      this.#add(chunk, memory);
      return [{ region: memory.region, offset: memory.offset, length: bytes }];
    }
    const parts = Array.isArray(memory) ? (memory as readonly MemoryPart[]) : [memory as MemoryPart];
    const segments: Segment[] = [];
    let left = bytes;
    let device: boolean | undefined;
    for (const part of parts) {
      const segment = this.#segment(chunk, part, left);
      device ??= this.#onDevice;
      if (device !== this.#onDevice) throw strange(chunk, 'partly on the host and partly on the GPU');
      left -= segment.length * (segment.blocks?.length ?? 1);
      segments.push(segment);
    }
    if (left !== 0) {
      throw new KVOffloadError(
        'KVO_SHAPE_MISMATCH',
        `the memory of chunk ${chunk} has ${bytes - left} bytes, but its shape and dtype take ${bytes}; pass as many`,
      );
    }
    return segments;
  }

  /** Marks the slots as in use; from here on {@link settle} must follow. */
  begin(): void {
    for (const slot of this.#slots) slot.use();
  }

  /** @param stuck - whether a chunk's memory may still be written to */
  settle(stuck: (chunk: number) => boolean): void {
    this.#slots.forEach((slot, i) => {
      slot.unuse(stuck(this.#chunks[i] ?? -1));
    });
  }

  #segment(chunk: number, part: MemoryPart, left: number): Segment {
    if (part instanceof Slot) return this.#ofSlot(chunk, part, 0, Math.min(part.byteLength, left));
    if (ArrayBuffer.isView(part)) return this.#ofView(chunk, part, 0, undefined);
    if (part instanceof DeviceRegion) return this.#ofRegion(chunk, part, 0, undefined);
    const checked = checkPart(chunk, part);
    if ('offsets' in checked) return this.#ofBlocks(chunk, checked);
    const { memory, offset = 0, length } = checked;
    if (memory instanceof Slot) return this.#ofSlot(chunk, memory, offset, length);
    if (ArrayBuffer.isView(memory)) return this.#ofView(chunk, memory, offset, length);
    return this.#ofRegion(chunk, memory, offset, length);
  }

  #ofRegion(chunk: number, memory: MemoryRegion | DeviceRegion, offset: number, length: number | undefined): Segment {
    this.#checkRegion(chunk, memory);
    this.#onDevice = memory instanceof DeviceRegion;
    return { region: memory.region, ...within(chunk, memory.byteLength, offset, length) };
  }

  /** Which of the blocks lie inside is checked by the native engine, all of them: here each would cost a bigint. */
  #ofBlocks(chunk: number, { memory, offsets, length }: Blocks): Segment {
    this.#checkRegion(chunk, memory);
    if (!(offsets instanceof BigUint64Array) || offsets.length === 0 || offsets.length > MOST_BLOCKS) {
      throw strange(chunk, `a list of ${String((offsets as ArrayLike<unknown>).length)} offsets in no BigUint64Array`);
    }
    if (!Number.isSafeInteger(length) || length < 1) throw strange(chunk, `in blocks of ${String(length)} bytes`);
    this.#onDevice = memory instanceof DeviceRegion;
    return { region: memory.region, offset: 0, length, blocks: offsets };
  }

  #checkRegion(chunk: number, memory: MemoryRegion | DeviceRegion): void {
    if (memory.isOf(this.#transfer)) return;
    throw strange(
      chunk,
      'a region that was released, whose buffer was transferred, or that is registered at another engine',
    );
  }

  #ofSlot(chunk: number, slot: Slot, offset: number, length: number | undefined): Segment {
    const range = within(chunk, slot.byteLength, offset, length);
    this.#add(chunk, slot);
    this.#onDevice = slot.onDevice;
    return { region: slot.region, offset: slot.offset + range.offset, length: range.length };
  }

  #add(chunk: number, slot: Slot): void {
    if (!slot.isOf(this.#transfer)) throw strange(chunk, 'a slot of another engine');
    slot.checkLeased();
    this.#slots.push(slot);
    this.#chunks.push(chunk);
  }

  #ofView(chunk: number, view: NodeJS.ArrayBufferView, offset: number, length: number | undefined): Segment {
    const bytes = usableBytes(view, `the memory of chunk ${chunk}`);
    const range = within(chunk, bytes.byteLength, offset, length);
    this.#onDevice = false;
    this.buffers.push(bytes);
    return { region: OWN_MEMORY + this.buffers.length - 1, ...range };
  }
}

/**
 * The bytes of a buffer or of a view.
 *
 * @param what - what a message calls it
 * @throws KVOffloadError `KVO_MEMORY_INVALID` for no such thing, one of no bytes, or one whose memory may move
 */
export function usableBytes(memory: ArrayBufferLike | NodeJS.ArrayBufferView, what: string): Uint8Array {
  const buffer = ArrayBuffer.isView(memory) ? memory.buffer : memory;
  if (!types.isAnyArrayBuffer(buffer)) {
    throw new KVOffloadError('KVO_MEMORY_INVALID', `${what} is none; pass a typed array or a buffer`);
  }
  const { resizable, growable } = buffer as {
    resizable?: boolean;
    growable?: boolean;
  };
  if (resizable === true || growable === true) {
    throw new KVOffloadError('KVO_MEMORY_INVALID', `${what} is a view of a resizable buffer; use one of fixed length`);
  }
  if (lengthOf(memory) === 0) {
    throw new KVOffloadError('KVO_MEMORY_INVALID', `${what} has no bytes: it is empty, or its buffer was transferred`);
  }
  if (!ArrayBuffer.isView(memory)) return new Uint8Array(memory);
  return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
}

/** A DataView of a transferred buffer throws where everything else says 0. */
function lengthOf(memory: ArrayBufferLike | NodeJS.ArrayBufferView): number {
  try {
    return memory.byteLength;
  } catch {
    return 0;
  }
}

function strange(chunk: number, what: string): KVOffloadError {
  return new KVOffloadError('KVO_MEMORY_INVALID', `the memory of chunk ${chunk} is ${what}; use this engine’s own`);
}

type Parts = Exclude<MemoryPart, Slot | DeviceRegion | NodeJS.ArrayBufferView>;
type Blocks = Extract<Parts, { offsets: BigUint64Array }>;

/** As many as the native plan can count. */
const MOST_BLOCKS = 2 ** 31;

function checkPart(chunk: number, part: unknown): Parts {
  const { memory, offsets } = (part ?? {}) as { memory?: unknown; offsets?: unknown };
  const isRegion = memory instanceof MemoryRegion || memory instanceof DeviceRegion;
  if (isRegion || ((memory instanceof Slot || ArrayBuffer.isView(memory)) && offsets === undefined)) {
    return part as Parts;
  }
  throw new KVOffloadError(
    'KVO_MEMORY_INVALID',
    `the memory of chunk ${chunk} is none; pass a slot, a typed array, a region, or a list of such and of { memory, offset, length }`,
  );
}

function within(chunk: number, size: number, offset: number, length = size - offset) {
  const inside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size;
  if (inside) return { offset, length };
  throw new KVOffloadError(
    'KVO_MEMORY_INVALID',
    `the memory of chunk ${chunk}: ${length} bytes from ${offset} lie outside of its ${size} bytes`,
  );
}
