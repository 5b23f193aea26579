/** Registered memory: the engine's own buffer, divided into slots of one chunk, and regions of the caller's. */
import { KVOffloadError } from '../errors.js';
import { MEMORY_ALIGNMENT, type Transfer, bytesToAlignment, onAbort } from '../transfer.js';

const MIB = 2 ** 20;
/** Slots begin at multiples of this, as cuFile's registered memory wants it. */
const SLOT_ALIGNMENT = 64 * 1024;
/** Node's timers overflow beyond, and then fire at once. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/** How long {@link KVCacheEngine.lease} waits, and what ends the wait. */
export interface LeaseOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds. Default: max_alloc_attempts × allocation_attempt_delay_secs, 1,000. */
  readonly timeoutMs?: number;
}

/**
 * One chunk's place in the registered buffer. Give it back with `release()`, or declare it with `using`. Given back
 * while a call still uses it, it becomes free when that call settles.
 */
export class Slot {
  /** The engine's number of the buffer. */
  readonly region: number;
  /** Bytes from the buffer's start. */
  readonly offset: number;
  /** Bytes of a whole chunk. */
  readonly byteLength: number;
  readonly #backing: Backing;
  readonly #free: (slot: Slot) => void;
  #view: Uint8Array | undefined;
  #leased = true;
  #uses = 0;

  /** @internal */
  constructor(backing: Backing, offset: number, byteLength: number, free: (slot: Slot) => void) {
    this.#backing = backing;
    this.region = backing.region;
    this.offset = offset;
    this.byteLength = byteLength;
    this.#free = free;
  }

  /**
   * The chunk's bytes, not a copy; for a buffer in host memory.
   *
   * @throws KVOffloadError `KVO_SLOT_RELEASED` once the slot was given back; `KVO_MEMORY_INVALID` in GPU memory
   */
  get bytes(): Uint8Array {
    this.#check();
    this.#view ??= this.#backing.view(this.offset, this.byteLength);
    return this.#view;
  }

  /**
   * The device address of a buffer in GPU memory; undefined in host memory.
   *
   * @throws KVOffloadError `KVO_SLOT_RELEASED` once the slot was given back
   */
  get address(): bigint | undefined {
    this.#check();
    const { address } = this.#backing;
    return address === undefined ? undefined : address + BigInt(this.offset);
  }

  /**
   * Copies bytes into the slot, wherever it lies, at once.
   *
   * @throws KVOffloadError `KVO_SLOT_RELEASED`; `KVO_MEMORY_INVALID` for more bytes than it has; `KVO_CUDA`
   */
  copyFrom(source: NodeJS.ArrayBufferView): void {
    this.#backing.copy(this.offset, this.#fitting(source), true);
  }

  /** Copies bytes out of the slot, as many as `target` has. As {@link copyFrom}. */
  copyTo(target: NodeJS.ArrayBufferView): void {
    this.#backing.copy(this.offset, this.#fitting(target), false);
  }

  /** Gives the slot back. Idempotent. */
  release(): void {
    if (!this.#leased) return;
    this.#leased = false;
    if (this.#uses === 0) this.#free(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal Whether it is part of the buffer registered there. */
  isOf(transfer: Transfer): boolean {
    return transfer === this.#backing.transfer;
  }

  /** @internal Whether it lies in GPU memory. */
  get onDevice(): boolean {
    return this.#backing.address !== undefined;
  }

  /** @internal */
  checkLeased(): void {
    this.#check();
  }

  /** @internal A call begins to use it. */
  use(): void {
    this.#check();
    this.#uses++;
  }

  /** @internal A call has settled. Stuck in the kernel it has not: the slot is then never free again. */
  unuse(stuck: boolean): void {
    if (stuck) return;
    if (--this.#uses === 0 && !this.#leased) this.#free(this);
  }

  #fitting(host: NodeJS.ArrayBufferView): Uint8Array {
    this.#check();
    if (host.byteLength <= this.byteLength) return new Uint8Array(host.buffer, host.byteOffset, host.byteLength);
    throw new KVOffloadError('KVO_MEMORY_INVALID', `${host.byteLength} bytes do not fit a slot of ${this.byteLength}`);
  }

  #check(): void {
    if (!this.#leased) {
      throw new KVOffloadError('KVO_SLOT_RELEASED', 'the slot was given back; lease another with engine.lease()');
    }
  }
}

/** Memory of the caller's that stays registered until it is released: an ArrayBuffer, a SharedArrayBuffer, or a view. */
export class MemoryRegion {
  /** The engine's number of it. */
  readonly region: number;
  /** Its length in bytes. */
  readonly byteLength: number;
  readonly #transfer: Transfer;
  readonly #view: Uint8Array;
  #released = false;

  /** @internal */
  constructor(transfer: Transfer, view: Uint8Array) {
    this.#transfer = transfer;
    this.#view = view;
    this.byteLength = view.byteLength;
    this.region = transfer.addRegion(view, view.byteLength);
  }

  /** True once it is no longer registered; false while a call uses it. */
  release(): boolean {
    this.#released ||= this.#transfer.releaseRegion(this.region);
    return this.#released;
  }

  /** @internal Whether it is registered there, and its buffer was not transferred since. */
  isOf(transfer: Transfer): boolean {
    return transfer === this.#transfer && !this.#released && this.#view.byteLength === this.byteLength;
  }
}

interface Waiter {
  readonly count: number;
  readonly resolve: (slots: Slot[]) => void;
  readonly reject: (error: KVOffloadError) => void;
}

/** The registered buffer, divided into slots. */
export class Arena {
  /** How many slots there are. */
  readonly capacity: number;
  /** Bytes of a slot's view: one whole chunk. */
  readonly chunkBytes: number;
  readonly #backing: Backing;
  readonly #stride: number;
  readonly #free: number[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #defaultTimeoutMs: number;
  #closed = false;

  private constructor(layout: ArenaLayout, backing: Backing, timeoutMs: number) {
    this.#backing = backing;
    this.chunkBytes = layout.chunkBytes;
    this.capacity = layout.capacity;
    this.#stride = layout.stride;
    this.#defaultTimeoutMs = timeoutMs;
    for (let slot = this.capacity - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  /**
   * Allocates and registers the buffer.
   *
   * @param transfer - where it is registered
   * @param where - host memory, or that of the transfer's GPU
   * @param bufferMiB - its size
   * @param chunkBytes - payload bytes of a whole chunk
   * @param timeoutMs - how long a lease waits unless told otherwise
   * @throws KVOffloadError `KVO_CONFIG_INVALID_VALUE` where not one chunk fits, or the process has no such memory;
   *   `KVO_DEVICE_MEMORY`, `KVO_CUDA`
   */
  static async allocate(
    transfer: Transfer,
    where: 'host' | 'device',
    bufferMiB: number,
    chunkBytes: number,
    timeoutMs: number,
  ): Promise<Arena> {
    const layout = layOut(bufferMiB, chunkBytes);
    const bytes = layout.capacity * layout.stride;
    const backing =
      where === 'host' ? hostBacking(transfer, bytes, bufferMiB) : await deviceBacking(transfer, bytes, bufferMiB);
    return new Arena(layout, backing, timeoutMs);
  }

  /** As what cuFile knows the buffer, and why not better; undefined in host memory. */
  get registration(): Registration | undefined {
    return this.#backing.registration;
  }

  /** Slots that can be leased now. */
  get available(): number {
    return this.#free.length;
  }

  /**
   * Leases slots, all of them at once, in the order of asking.
   *
   * @throws KVOffloadError `KVO_BUSY` when the deadline passes, `KVO_ABORTED`, `KVO_CLOSED`; `KVO_ARGUMENT_INVALID`
   *   for more slots than there are
   */
  async lease(count: number, options: LeaseOptions = {}): Promise<Slot[]> {
    if (!Number.isSafeInteger(count) || count < 0 || count > this.capacity) {
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        `cannot lease ${count} slots: the buffer holds ${this.capacity}; ask for fewer, or raise cufile_buffer_size`,
      );
    }
    const timeoutMs = options.timeoutMs ?? this.#defaultTimeoutMs;
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
      throw new KVOffloadError('KVO_ARGUMENT_INVALID', `timeoutMs is ${String(timeoutMs)}; it is a number from 0 up`);
    }
    if (this.#closed) throw closedError();
    if (options.signal?.aborted === true) throw abortedError(options.signal);
    if (this.#waiters.size === 0 && this.#free.length >= count) return this.#take(count);
    return this.#wait(count, Math.min(timeoutMs, LONGEST_WAIT_MS), options.signal);
  }

  /** Ends every wait with `KVO_CLOSED`. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) this.#refuse(waiter, closedError());
  }

  /** At once, not when the refused one notices: slots given back meanwhile are for others. */
  #refuse(waiter: Waiter, error: KVOffloadError): void {
    this.#waiters.delete(waiter);
    waiter.reject(error);
  }

  async #wait(count: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<Slot[]> {
    const { promise, resolve, reject } = withResolvers<Slot[]>();
    const waiter: Waiter = { count, resolve, reject };
    const forget = onAbort(signal, () => {
      this.#refuse(waiter, abortedError(signal));
    });
    const timer = setTimeout(() => {
      this.#refuse(
        waiter,
        new KVOffloadError(
          'KVO_BUSY',
          `no ${count} free slots within ${timeoutMs} ms: ${this.#free.length} of ${this.capacity} are free; release slots sooner, or raise cufile_buffer_size`,
        ),
      );
    }, timeoutMs);
    this.#waiters.add(waiter);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      forget();
      // One that gave up may have stood before smaller ones.
      this.#serve();
    }
  }

  /** First come, first served: a large request is not overtaken for ever by small ones. */
  #serve(): void {
    for (const waiter of this.#waiters) {
      if (waiter.count > this.#free.length) return;
      this.#waiters.delete(waiter);
      waiter.resolve(this.#take(waiter.count));
    }
  }

  #take(count: number): Slot[] {
    return this.#free
      .splice(this.#free.length - count, count)
      .reverse()
      .map((slot) => {
        const offset = slot * this.#stride;
        return new Slot(this.#backing, offset, this.chunkBytes, () => {
          this.#free.push(slot);
          this.#serve();
        });
      });
  }
}

interface ArenaLayout {
  readonly chunkBytes: number;
  readonly stride: number;
  readonly capacity: number;
}

function layOut(bufferMiB: number, chunkBytes: number): ArenaLayout {
  const stride = Math.ceil(chunkBytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
  const capacity = Math.floor((bufferMiB * MIB) / stride);
  if (capacity > 0) return { chunkBytes, stride, capacity };
  throw new KVOffloadError(
    'KVO_CONFIG_INVALID_VALUE',
    `cufile_buffer_size is ${bufferMiB} MiB, less than one chunk of ${chunkBytes} bytes; set it to at least ${Math.ceil(stride / MIB)}`,
  );
}

/** How cuFile took a buffer. */
export interface Registration {
  readonly registered: 'whole' | 'pieces' | 'not';
  /** What it said to a better one. */
  readonly refused?: string;
}

/** The memory below the slots. */
interface Backing {
  readonly transfer: Transfer;
  readonly region: number;
  readonly address?: bigint;
  readonly registration?: Registration;
  readonly view: (offset: number, bytes: number) => Uint8Array;
  readonly copy: (offset: number, host: Uint8Array, into: boolean) => void;
}

/** A SharedArrayBuffer, since nobody can detach one while bytes move into it. */
function hostBacking(transfer: Transfer, bytes: number, bufferMiB: number): Backing {
  const buffer = allocate(bytes + MEMORY_ALIGNMENT, bufferMiB);
  const start = bytesToAlignment(new Uint8Array(buffer, 0, MEMORY_ALIGNMENT));
  const view = (offset: number, length: number) => new Uint8Array(buffer, start + offset, length);
  return {
    transfer,
    region: transfer.addRegion(view(0, MEMORY_ALIGNMENT), bytes),
    view,
    copy: (offset, host, into) => {
      const slot = view(offset, host.byteLength);
      if (into) slot.set(host);
      else host.set(slot);
    },
  };
}

async function deviceBacking(transfer: Transfer, bytes: number, bufferMiB: number): Promise<Backing> {
  const what = `the buffer of ${bufferMiB} MiB (cufile_buffer_size)`;
  const { region, address, registered, refused } = await transfer.addDeviceMemory({ bytes: BigInt(bytes) }, what);
  return {
    transfer,
    region,
    address,
    registration: { registered, ...(refused && { refused: `${refused.call}: ${refused.text} (${refused.code})` }) },
    view: () => {
      throw new KVOffloadError(
        'KVO_MEMORY_INVALID',
        'the slot lies in GPU memory, which has no bytes here; use its address, or copyFrom() and copyTo()',
      );
    },
    copy: (offset, host, into) => {
      transfer.copyDevice(region, offset, host, into);
    },
  };
}

function allocate(bytes: number, bufferMiB: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `cufile_buffer_size is ${bufferMiB} MiB, which this process cannot allocate; set a smaller one`,
      cause,
    );
  }
}

function closedError(): KVOffloadError {
  return new KVOffloadError('KVO_CLOSED', 'the engine is closed; open another');
}

function abortedError(signal: AbortSignal | undefined): KVOffloadError {
  return new KVOffloadError('KVO_ABORTED', 'the wait for slots ended: its AbortSignal fired', signal?.reason);
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
