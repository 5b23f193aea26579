// @ts-check
/**
 * The attention keys and values of a sequence, in blocks of memory that someone else may own.
 *
 * A block is one chunk as kv-offload keeps it: float32 [2, layers, tokens, kvDim], keys then values, packed. So the
 * model reads retrieved chunks, and writes chunks to be stored, where they lie: no copy on either side. A short tail
 * chunk is packed for its own number of tokens; what comes after it goes to a new block.
 */
export class KvCache {
  /** @type {import('./weights.mjs').Shape} */
  #shape;
  /** @type {{ data: Float32Array, start: number, tokens: number }[]} */
  blocks = [];
  /** Tokens that the blocks have room for. */
  capacity = 0;

  /** @param {import('./weights.mjs').Shape} shape */
  constructor(shape) {
    this.#shape = shape;
  }

  /** Bytes of a chunk of that many tokens. @param {number} tokens */
  chunkBytes(tokens) {
    return 2 * this.#shape.layers * tokens * this.#shape.kvDim * Float32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Adds room for the next tokens.
   *
   * @param {number} tokens
   * @param {Uint8Array} [memory] the chunk's memory, used in place; its own when absent
   */
  addBlock(tokens, memory = new Uint8Array(this.chunkBytes(tokens))) {
    const bytes = this.chunkBytes(tokens);
    if (memory.byteLength < bytes)
      throw new RangeError(`a chunk of ${tokens} tokens takes ${bytes} bytes, not ${memory.byteLength}`);
    this.blocks.push({
      data: new Float32Array(memory.buffer, memory.byteOffset, bytes / 4),
      start: this.capacity,
      tokens,
    });
    this.capacity += tokens;
  }

  /** Index of the block that holds a position. @param {number} position */
  blockOf(position) {
    return this.blocks.findIndex((block) => position < block.start + block.tokens);
  }
}
