/**
 * Tests that were written for host memory, on a GPU's: an engine on the fake GPU whose callers hand in typed arrays.
 * For the time of a call each has a place in device memory, copied in before and out afterwards; a slot's `bytes` are a
 * copy, likewise. So every byte of such a test goes through the transport that KVO_TEST_TRANSPORT names.
 */
import { it } from 'vitest';
import {
  type ChunkMemory,
  type DeviceRegion,
  type KVCacheEngine,
  type MoveOptions,
  type RetrieveResult,
  type StoreResult,
  MemoryRegion,
  Slot,
} from '../../src/index.js';
import { fakeGpu } from './gpu.js';

/** What these tests run on: `host` unless the project says otherwise (vitest.config.ts). */
export const TRANSPORT = (process.env['KVO_TEST_TRANSPORT'] ?? 'host') as 'host' | 'staged' | 'gds';

/** A value by the transport under test. */
export const byTransport = <Value>(values: Readonly<Record<'host' | 'staged' | 'gds', Value>>): Value =>
  values[TRANSPORT];

/** A test of host memory, or of what only an engine on it does; on a GPU it is reported as skipped. */
export const onHost = it.skipIf(TRANSPORT !== 'host');

/** Settings of `kv_offload` that put an engine's memory on the fake GPU. Sums are asked for: gds leaves them out. */
export function ownForTransport(): Readonly<Record<string, unknown>> {
  return TRANSPORT === 'host' ? {} : fakeGpu({ transport: TRANSPORT, checksums: true });
}

/** Of each engine; the fake's is a file with holes, so that what is not used costs nothing. */
const POOL_BYTES = 256 * 2 ** 20;
/** As the driver packs small allocations. */
const ALIGNMENT = 512;

type Move = (memory: readonly ChunkMemory[]) => Promise<StoreResult | RetrieveResult>;

/** Makes an engine's calls take host memory. Nothing changes without a GPU. */
export async function takeHostMemory(engine: KVCacheEngine): Promise<void> {
  if (TRANSPORT === 'host' || engine.transport.kind === 'host') return;
  const pool = new Pool(await engine.allocateDevice(POOL_BYTES));
  const own = {
    lease: engine.lease.bind(engine),
    register: engine.register.bind(engine),
    close: engine.close.bind(engine),
  };
  const calls = {
    store: engine.store.bind(engine),
    retrieve: engine.retrieve.bind(engine),
    storeLayer: engine.storeLayer.bind(engine),
    retrieveLayer: engine.retrieveLayer.bind(engine),
  };
  engine.store = (prompt, sources, options) =>
    pool.store(sources, (memory) => calls.store(prompt, memory, options)) as Promise<StoreResult>;
  engine.retrieve = (prompt, targets, options?: MoveOptions) =>
    pool.retrieve(targets, (memory) => calls.retrieve(prompt, memory, options)) as Promise<RetrieveResult>;
  engine.storeLayer = (prompt, layer, sources, options) =>
    pool.store(sources, (memory) => calls.storeLayer(prompt, layer, memory, options)) as Promise<StoreResult>;
  engine.retrieveLayer = (prompt, layer, targets, options) =>
    pool.retrieve(targets, (memory) => calls.retrieveLayer(prompt, layer, memory, options)) as Promise<RetrieveResult>;
  engine.register = (memory) => {
    const region = own.register(memory);
    pool.regions.set(region, ArrayBuffer.isView(memory) ? bytesOf(memory) : new Uint8Array(memory));
    const release = region.release.bind(region);
    region.release = () => {
      pool.regions.delete(region);
      return release();
    };
    return region;
  };
  engine.lease = async (count, options) => {
    const slots = await own.lease(count, options);
    for (const slot of slots) pool.mirror(slot);
    return slots;
  };
  engine.close = () => {
    pool.isClosed = true;
    return own.close();
  };
}

/** Where a call's host bytes are for its time. */
interface Placed {
  readonly host: Uint8Array;
  readonly at: number;
}

class Pool {
  readonly regions = new WeakMap<MemoryRegion, Uint8Array>();
  isClosed = false;
  readonly #mirrors = new WeakMap<Slot, () => Uint8Array | undefined>();
  readonly #device: DeviceRegion;
  #next = 0;
  #underWay = 0;
  #isStuck = false;

  constructor(device: DeviceRegion) {
    this.#device = device;
  }

  /** Gives a slot bytes: a copy, made when it is first looked at. */
  mirror(slot: Slot): void {
    let bytes: Uint8Array | undefined;
    this.#mirrors.set(slot, () => bytes);
    Object.defineProperty(slot, 'bytes', {
      get: () => {
        if (slot.address === undefined) throw new Error('a slot of device memory has an address');
        if (bytes === undefined) {
          bytes = new Uint8Array(new SharedArrayBuffer(slot.byteLength));
          if (!this.isClosed) slot.copyTo(bytes);
        }
        return bytes;
      },
    });
  }

  async store(memory: readonly ChunkMemory[], move: Move): Promise<StoreResult | RetrieveResult> {
    return this.#move(memory, move, false);
  }

  async retrieve(memory: readonly ChunkMemory[], move: Move): Promise<StoreResult | RetrieveResult> {
    return this.#move(memory, move, true);
  }

  async #move(memory: readonly ChunkMemory[], move: Move, isOut: boolean): Promise<StoreResult | RetrieveResult> {
    const start = this.#next;
    const placed: Placed[] = [];
    const slots = new Set<Slot>();
    const translated = this.isClosed ? undefined : this.#translate(memory, placed, slots);
    // What is no usable memory is the engine's to refuse.
    if (translated === undefined) {
      this.#next = start;
      return move(memory);
    }
    const bytes = this.#next - start;
    const between = new Uint8Array(bytes);
    for (const { host, at } of placed) between.set(host, at - start);
    if (bytes > 0) this.#device.copyFrom(between, start);
    for (const slot of slots) {
      const mirrored = this.#mirrors.get(slot)?.();
      if (mirrored !== undefined) slot.copyFrom(mirrored);
    }
    this.#underWay++;
    try {
      const result = await move(translated);
      if (result.chunks.some(({ error }) => error?.code === 'KVO_IO_STUCK')) this.#isStuck = true;
      if (isOut && !this.isClosed) this.#copyOut(start, between, placed, slots);
      return result;
    } finally {
      if (--this.#underWay === 0 && !this.#isStuck) this.#next = 0;
    }
  }

  #copyOut(start: number, between: Uint8Array, placed: readonly Placed[], slots: ReadonlySet<Slot>): void {
    if (between.byteLength > 0) this.#device.copyTo(between, start);
    for (const { host, at } of placed) host.set(between.subarray(at - start, at - start + host.byteLength));
    for (const slot of slots) {
      const mirrored = this.#mirrors.get(slot)?.();
      if (mirrored !== undefined && isLeased(slot)) slot.copyTo(mirrored);
    }
  }

  #translate(memory: unknown, placed: Placed[], slots: Set<Slot>): ChunkMemory[] | undefined {
    if (!Array.isArray(memory)) return undefined;
    const chunks: unknown[] = [];
    for (const chunk of memory as readonly unknown[]) {
      const parts = (Array.isArray(chunk) ? chunk : [chunk]).map((part) => this.#part(part, placed, slots));
      if (parts.includes(undefined)) return undefined;
      chunks.push(Array.isArray(chunk) ? parts : parts[0]);
    }
    return chunks as ChunkMemory[];
  }

  /** Undefined where it is no usable part. */
  #part(part: unknown, placed: Placed[], slots: Set<Slot>): unknown {
    if (part instanceof Slot) {
      slots.add(part);
      return isLeased(part) ? part : undefined;
    }
    if (ArrayBuffer.isView(part)) return this.#place(part as NodeJS.ArrayBufferView, 0, undefined, placed);
    const { memory, offset = 0, length } = (part ?? {}) as { memory?: unknown; offset?: number; length?: number };
    if (memory instanceof Slot) {
      slots.add(memory);
      return isLeased(memory) ? part : undefined;
    }
    if (ArrayBuffer.isView(memory)) return this.#place(memory as NodeJS.ArrayBufferView, offset, length, placed);
    const registered = memory instanceof MemoryRegion ? this.regions.get(memory) : undefined;
    // Of another engine, or released.
    if (registered === undefined) return undefined;
    return this.#place(registered, offset, length, placed);
  }

  #place(view: NodeJS.ArrayBufferView, offset: number, length: number | undefined, placed: Placed[]): unknown {
    const whole = usable(view);
    if (whole === undefined) return undefined;
    const bytes = length ?? whole.byteLength - offset;
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(bytes)) return undefined;
    if (offset < 0 || bytes < 0 || offset + bytes > whole.byteLength) return undefined;
    const at = this.#next;
    this.#next += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (this.#next > POOL_BYTES) throw new Error(`a test needs more than ${POOL_BYTES} bytes of device memory`);
    placed.push({ host: whole.subarray(offset, offset + bytes), at });
    return { memory: this.#device, offset: at, length: bytes };
  }
}

function isLeased(slot: Slot): boolean {
  try {
    return slot.address !== undefined;
  } catch {
    return false;
  }
}

function bytesOf(view: NodeJS.ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Undefined for what the engine refuses: a transferred or resizable buffer's. */
function usable(view: NodeJS.ArrayBufferView): Uint8Array | undefined {
  const { resizable, growable } = view.buffer as { resizable?: boolean; growable?: boolean };
  if (resizable === true || growable === true) return undefined;
  try {
    return view.byteLength === 0 ? undefined : bytesOf(view);
  } catch {
    return undefined;
  }
}
