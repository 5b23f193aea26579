/** The engine's registered buffer, divided into slots of one chunk. */
import { KVOffloadError } from '../errors.js';
import { type Transfer, onAbort } from '../transfer.js';
import { type Backing, type Registration, deviceBacking, hostBacking } from './backing.js';
import { Slot } from './slot.js';

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
