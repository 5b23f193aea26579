/**
 * Memory for the headers of batches, used again and again: fresh pages, zeroing and copies would cost more than anything
 * else that JavaScript does for a small chunk. Shared memory, since nobody can detach it while threads write to it.
 */
import { HEADER_BYTES } from './layout/index.js';

/** Headers of a piece of memory: the least that is enough is taken. Larger batches get memory of their own. */
const SIZES = [1, 8, 64, 512] as const;
/** Bytes kept for later, of all sizes: as many as a few large calls have in flight, or thousands of small ones. */
const MOST_KEPT = 64 * 2 ** 20;

const free = new Map<number, Buffer[]>(SIZES.map((headers) => [headers * HEADER_BYTES, []]));
let kept = 0;

/** Memory for so many headers, of any content. */
export function takeHeaders(count: number): Buffer {
  const size = SIZES.find((headers) => headers >= count);
  if (size === undefined) return Buffer.from(new SharedArrayBuffer(count * HEADER_BYTES));
  const bytes = size * HEADER_BYTES;
  let whole = free.get(bytes)?.pop();
  if (whole === undefined) whole = Buffer.from(new SharedArrayBuffer(bytes));
  else kept -= bytes;
  // The whole is remembered by its buffer: what is lent has the length that was asked for.
  return whole.subarray(0, count * HEADER_BYTES);
}

/** Gives it back, once nothing reads or writes it any more. */
export function returnHeaders(headers: Uint8Array): void {
  const bytes = headers.buffer.byteLength;
  const same = free.get(bytes);
  if (same === undefined || kept + bytes > MOST_KEPT) return;
  same.push(Buffer.from(headers.buffer));
  kept += bytes;
}
