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
  readonly #view: Uint8Array;
  readonly #transfer: Transfer;
  readonly #free: (slot: Slot) => void;
  #leased = true;
  #uses = 0;

  /** @internal */
  constructor(transfer: Transfer, region: number, offset: number, view: Uint8Array, free: (slot: Slot) => void) {
    this.#transfer = transfer;
    this.region = region;
    this.offset = offset;
    this.#view = view;
    this.#free = free;
  }

  /**
   * The chunk's bytes, not a copy.
   *
   * @throws KVOffloadError `KVO_SLOT_RELEASED` once the slot was given back
   */
  get bytes(): Uint8Array {
    this.#check();
    return this.#view;
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
    return transfer === this.#transfer;
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

/** The registered buffer. It is a SharedArrayBuffer, since nobody can detach one while bytes move into it. */
export class Arena {
  /** How many slots there are. */
  readonly capacity: number;
  /** Bytes of a slot's view: one whole chunk. */
  readonly chunkBytes: number;
  readonly #transfer: Transfer;
  readonly #buffer: SharedArrayBuffer;
  readonly #region: number;
  readonly #start: number;
  readonly #stride: number;
  readonly #free: number[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #defaultTimeoutMs: number;
  #closed = false;

  /**
   * @param transfer - where the buffer is registered
   * @param bufferMiB - its size
   * @param chunkBytes - payload bytes of a whole chunk
   * @param timeoutMs - how long a lease waits unless told otherwise
   * @throws KVOffloadError `KVO_CONFIG_INVALID_VALUE` where not one chunk fits
   */
  constructor(transfer: Transfer, bufferMiB: number, chunkBytes: number, timeoutMs: number) {
    this.#transfer = transfer;
    this.chunkBytes = chunkBytes;
    this.#defaultTimeoutMs = timeoutMs;
    this.#stride = Math.ceil(chunkBytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
    this.capacity = Math.floor((bufferMiB * MIB) / this.#stride);
    if (this.capacity === 0) {
      throw new KVOffloadError(
        'KVO_CONFIG_INVALID_VALUE',
        `cufile_buffer_size is ${bufferMiB} MiB, less than one chunk of ${chunkBytes} bytes; set it to at least ${Math.ceil(this.#stride / MIB)}`,
      );
    }
    const bytes = this.capacity * this.#stride;
    this.#buffer = allocate(bytes + MEMORY_ALIGNMENT, bufferMiB);
    this.#start = bytesToAlignment(new Uint8Array(this.#buffer, 0, MEMORY_ALIGNMENT));
    this.#region = transfer.addRegion(new Uint8Array(this.#buffer, this.#start, MEMORY_ALIGNMENT), bytes);
    for (let slot = this.capacity - 1; slot >= 0; slot--) this.#free.push(slot);
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
        const view = new Uint8Array(this.#buffer, this.#start + offset, this.chunkBytes);
        return new Slot(this.#transfer, this.#region, offset, view, () => {
          this.#free.push(slot);
          this.#serve();
        });
      });
  }
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
