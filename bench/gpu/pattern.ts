/** What a chunk's bytes must be: pseudo-random, and stamped every 512 bytes with the chunk and the place. */
const STAMP = 512;

/** The chunks of one size. */
export class Pattern {
  readonly chunkBytes: number;
  readonly #base: Buffer;
  readonly #scratch: Buffer;

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes;
    const words = new Uint32Array(Math.ceil(chunkBytes / 4));
    let state = 0x9e3779b9;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#base = Buffer.from(words.buffer, 0, chunkBytes);
    this.#scratch = Buffer.alloc(chunkBytes);
  }

  /** The bytes of a chunk from `offset`, valid until the next call. Offset and length are multiples of 512, or the whole. */
  bytes(chunk: number, offset = 0, length = this.chunkBytes): Buffer {
    const piece = this.#scratch.subarray(0, length);
    this.#base.copy(piece, 0, offset, offset + length);
    for (let at = 0; at + 8 <= length; at += STAMP) {
      piece.writeUInt32LE(chunk, at);
      piece.writeUInt32LE(offset + at, at + 4);
    }
    return piece;
  }

  /** Which chunk such bytes are, by their first stamp. */
  chunkOf(bytes: Buffer): number {
    return bytes.readUInt32LE(0);
  }

  holds(bytes: Uint8Array, chunk: number, offset = 0): boolean {
    return this.bytes(chunk, offset, bytes.byteLength).equals(bytes);
  }
}

/** Where the pieces of scattered memory belong: neighbours of a chunk are no neighbours there. */
export class Places {
  readonly segment: number;
  readonly #step: number;
  readonly #count: number;

  constructor(total: number, segment: number) {
    this.segment = segment;
    this.#count = total / segment;
    let step = Math.floor(this.#count * 0.618) + 1;
    while (greatestCommonDivisor(step, this.#count) !== 1) step++;
    this.#step = step;
  }

  /** Offset in memory of piece `piece` of the whole. */
  placeOf(piece: number): number {
    return ((piece * this.#step) % this.#count) * this.segment;
  }

  /** Which piece of the whole lies at each place, in order. */
  pieces(): Uint32Array {
    const pieces = new Uint32Array(this.#count);
    for (let piece = 0; piece < this.#count; piece++) pieces[(piece * this.#step) % this.#count] = piece;
    return pieces;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
