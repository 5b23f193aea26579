/**
 * Memory for the headers of batches, used again and again: fresh pages, zeroing and copies would cost more than anything
 * else that JavaScript does for a small chunk. Shared memory, since nobody can detach it while threads write to it.
 */
import { HEADER_BYTES } from './layout/index.js';

/** Kept for later: as many as a few large calls have in flight. */
const MOST_KEPT = 32;
/** In headers; 2 MiB. Larger batches get memory of their own. */
const POOLED = 512;

const free: Buffer[] = [];

/** Memory for so many headers, of any content. */
export function takeHeaders(count: number): Buffer {
  if (count > POOLED) return Buffer.from(new SharedArrayBuffer(count * HEADER_BYTES));
  // The whole is remembered by its buffer: what is lent has the length that was asked for.
  const whole = free.pop() ?? Buffer.from(new SharedArrayBuffer(POOLED * HEADER_BYTES));
  return whole.subarray(0, count * HEADER_BYTES);
}

/** Gives it back, once nothing reads or writes it any more. */
export function returnHeaders(headers: Uint8Array): void {
  if (headers.buffer.byteLength !== POOLED * HEADER_BYTES || free.length >= MOST_KEPT) return;
  free.push(Buffer.from(headers.buffer));
}
