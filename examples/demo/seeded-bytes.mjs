// @ts-check
/** Bytes that stand for a KV chunk: random to the eye, and made again from a seed to check every one of them. */

/**
 * One chunk's first state. Distinct seeds give states that differ, so the same place of two chunks never holds the
 * same word: a chunk in another's place is wrong in each of its words.
 *
 * @param {number} seed integer, positive
 */
const stateOf = (seed) => Math.imul(seed, 0x9e3779b1) | 0 || 1;

/**
 * @param {Uint8Array} bytes whole 4-byte words, starting at a multiple of 4
 * @param {number} seed
 */
export function fillSeeded(bytes, seed) {
  const words = wordsOf(bytes);
  let state = stateOf(seed);
  for (let i = 0; i < words.length; i++) {
    // xorshift32 (Marsaglia 2003): a nanosecond a word.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
}

/**
 * @param {Uint8Array} bytes as {@link fillSeeded} wants them
 * @param {number} seed
 * @returns {number} offset of the first 4-byte word that differs; -1 when every byte is right
 */
export function firstDifference(bytes, seed) {
  const words = wordsOf(bytes);
  let state = stateOf(seed);
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    if (words[i] !== state) return i * 4;
  }
  return -1;
}

/** @param {Uint8Array} bytes */
function wordsOf(bytes) {
  if (bytes.length % 4 !== 0) throw new RangeError(`${bytes.length} bytes are not whole 4-byte words`);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
