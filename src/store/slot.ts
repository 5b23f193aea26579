/** One chunk's place in the registered buffer. */
import { KVOffloadError } from '../errors.js';
import type { Transfer } from '../transfer.js';
import type { Backing } from './backing.js';

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
