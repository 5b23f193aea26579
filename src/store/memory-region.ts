/** Host memory of the caller's. */
import type { Transfer } from '../transfer.js';

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
