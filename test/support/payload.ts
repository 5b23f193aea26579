/** Bytes and tokens that tests can make again from a number. */

/** Bytes that differ from those of every other seed almost everywhere. */
export function payload(seed: number, bytes: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    // xorshift32 (Marsaglia 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

/** Tokens of a prompt; prompts of different seeds share none. */
export function tokens(count: number, seed = 0): number[] {
  return Array.from({ length: count }, (_, i) => seed * 1_000_000 + i);
}

/** Whether two views hold the same bytes; quicker than toEqual, whose difference nobody reads. */
export function sameBytes(a: NodeJS.ArrayBufferView, b: NodeJS.ArrayBufferView): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf(view: NodeJS.ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
