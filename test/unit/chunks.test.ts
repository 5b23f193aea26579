import { describe, expect, it } from 'vitest';

import { type Tokens, chunkRanges, toTokens } from '../../src/chunks.js';
import { messageOf } from './expect-code.js';

const refused = (tokens: unknown): string => messageOf('KVO_TOKENS_INVALID', () => toTokens(tokens as Tokens));

/** A buffer that can shrink under its views; TypeScript's es2023 library has no such constructor yet. */
function resizableBuffer(bytes: number): ArrayBuffer & { resize(bytes: number): void } {
  const Resizable = ArrayBuffer as unknown as new (
    bytes: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(bytes: number): void };
  return new Resizable(bytes, { maxByteLength: bytes });
}

describe('toTokens', () => {
  it('gives numbers below 2^32 as a Uint32Array', () => {
    expect(toTokens([0, 5, 2 ** 32 - 1])).toEqual(Uint32Array.of(0, 5, 2 ** 32 - 1));
  });

  it('gives a Float64Array once a number reaches 2^32', () => {
    expect(toTokens([7, 2 ** 32, Number.MAX_SAFE_INTEGER])).toEqual(
      Float64Array.of(7, 2 ** 32, Number.MAX_SAFE_INTEGER),
    );
  });

  it('does not copy a Uint32Array', () => {
    const tokens = Uint32Array.of(1, 2, 3);
    expect(toTokens(tokens)).toBe(tokens);
  });

  it('reads a BigInt64Array, narrow and wide, from an offset too', () => {
    const tokens = BigInt64Array.of(9n, 1n, 4294967295n, 4294967296n, 9007199254740991n);
    expect(toTokens(tokens.subarray(1, 3))).toEqual(Uint32Array.of(1, 4294967295));
    expect(toTokens(tokens.subarray(1))).toEqual(Float64Array.of(1, 4294967295, 4294967296, 9007199254740991));
  });

  it('takes no tokens at all', () => {
    expect(toTokens([])).toEqual(new Uint32Array(0));
    expect(toTokens(new BigInt64Array(0))).toEqual(new Uint32Array(0));
    expect(toTokens(new Uint32Array(0))).toEqual(new Uint32Array(0));
  });

  it.each([
    [-1, '-1'],
    [1.5, '1.5'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [2 ** 53, '9007199254740992'],
    ['7', 'the string "7"'],
    [7n, '7'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'of type Object'],
    [true, 'of type boolean'],
  ])('names index and value of the bad token %o', (bad, shown) => {
    expect(refused([1, 2 ** 40, bad])).toBe(`token 2 is ${shown}; tokens are integers from 0 to 2^53 - 1`);
    expect(refused([bad])).toContain(`token 0 is ${shown};`);
  });

  it('refuses a hole in an array', () => {
    // eslint-disable-next-line no-sparse-arrays
    expect(refused([1, , 3])).toContain('token 1 is undefined');
  });

  it.each([[-1n], [9007199254740992n], [-(2n ** 63n)]])('refuses %s in a BigInt64Array', (bad) => {
    expect(refused(BigInt64Array.of(0n, bad))).toContain(`token 1 is ${bad};`);
  });

  it.each([
    [Float64Array.of(1), 'of type Float64Array'],
    [Int32Array.of(1), 'of type Int32Array'],
    [BigUint64Array.of(1n), 'of type BigUint64Array'],
    [Buffer.from([1]), 'of type Uint8Array'],
    ['1,2', 'the string "1,2"'],
    [5, '5'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{ length: 1, 0: 1 }, 'of type Object'],
    [new Set([1]), 'of type Set'],
  ])('refuses what is no sequence of tokens by its name: %o', (tokens, shown) => {
    expect(refused(tokens)).toContain(`tokens are ${shown};`);
  });

  it('refuses a view of a detached buffer', () => {
    const narrow = Uint32Array.of(1, 2);
    const wide = BigInt64Array.of(1n, 2n);
    structuredClone([narrow.buffer, wide.buffer], { transfer: [narrow.buffer, wide.buffer] });
    expect(refused(narrow)).toContain('detached or shrunk');
    expect(refused(wide)).toContain('detached or shrunk');
  });

  it('copies a view of a resizable buffer, so that shrinking it later changes nothing', () => {
    const buffer = resizableBuffer(16);
    const tracking = new Uint32Array(buffer);
    tracking.set([1, 2, 3, 4]);
    const tokens = toTokens(tracking);
    buffer.resize(8);
    expect(tokens).toEqual(Uint32Array.of(1, 2, 3, 4));
    expect(toTokens(tracking)).toEqual(Uint32Array.of(1, 2));
  });

  it('refuses a view past the end of a shrunk buffer', () => {
    const buffer = resizableBuffer(16);
    const second = new Uint32Array(buffer, 8, 2);
    const wide = new BigInt64Array(buffer, 8, 1);
    buffer.resize(8);
    expect(refused(second)).toContain('detached or shrunk');
    expect(refused(wide)).toContain('detached or shrunk');
  });
});

describe('chunkRanges', () => {
  it('leaves out a tail shorter than a chunk unless it is asked for', () => {
    expect(chunkRanges(600, 256)).toEqual([
      { index: 0, start: 0, end: 256 },
      { index: 1, start: 256, end: 512 },
    ]);
    expect(chunkRanges(600, 256, { saveUnfullChunk: true }).at(-1)).toEqual({ index: 2, start: 512, end: 600 });
    expect(chunkRanges(512, 256, { saveUnfullChunk: true })).toHaveLength(2);
  });

  it('begins after a skipped prefix and keeps the indices', () => {
    expect(chunkRanges(600, 256, { skipTokens: 256 })).toEqual([{ index: 1, start: 256, end: 512 }]);
    expect(chunkRanges(512, 256, { skipTokens: 512 })).toEqual([]);
    expect(chunkRanges(600, 256, { skipTokens: 512, saveUnfullChunk: true })).toEqual([
      { index: 2, start: 512, end: 600 },
    ]);
  });

  it('has no chunk where there are no tokens', () => {
    expect(chunkRanges(0, 256, { saveUnfullChunk: true })).toEqual([]);
    expect(chunkRanges(255, 256)).toEqual([]);
  });

  it.each([
    [100, 'no multiple of chunk_size 256; skip 0 instead'],
    [300, 'skip 256 instead'],
    [768, 'there are only 600 tokens'],
    [-256, 'an integer from 0 up'],
    [0.5, 'an integer from 0 up'],
    [NaN, 'an integer from 0 up'],
    ['256', 'the string "256"'],
  ])('refuses to skip %o', (skipTokens, why) => {
    const message = messageOf('KVO_MASK_INVALID', () => chunkRanges(600, 256, { skipTokens: skipTokens as number }));
    expect(message).toContain(why);
  });
});
