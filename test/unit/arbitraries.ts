/** What properties are tried on. */
import fc from 'fast-check';

import { DTYPES, type KeyDtype } from '../../src/dtypes.js';
import type { ChunkHash } from '../../src/hash/index.js';
import type { ChunkKey } from '../../src/keys.js';

const keyDtypes = DTYPES.flatMap(({ key }): KeyDtype[] => (key === undefined ? [] : [key]));
const without = (separators: RegExp, minLength = 0) =>
  fc.string({ unit: 'binary', minLength, maxLength: 24 }).filter((text) => !separators.test(text));

const digests = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((digest) => Buffer.from(digest).toString('hex'));

/** Hashes of every algorithm and regime. */
export const chunkHashes: fc.Arbitrary<ChunkHash> = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
  digests(16),
  digests(32),
);

/** Keys that can be spelled. */
export const chunkKeys: fc.Arbitrary<ChunkKey> = fc.record(
  {
    modelName: without(/@/, 1),
    worldSize: fc.maxSafeNat(),
    workerId: fc.nat(1000),
    chunkHash: fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
    dtype: fc.constantFrom(...keyDtypes),
    layerId: fc.nat(200),
    tags: fc.array(fc.tuple(without(/[@%]/), without(/@/)), { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['modelName', 'worldSize', 'workerId', 'chunkHash', 'dtype'] },
);

/** Texts that a parser with such separators may meet: nonsense, near misses, bytes read as text. */
export function anyText(separators: string): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('m', '1', '0', '-1', 'abcd', '0xAB', 'half', 'bfloat16', '99999999999999999999', '\ud800', ''),
    fc.constantFrom(...separators.split('')),
  );
  return fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
    fc.array(piece, { minLength: 4, maxLength: 9 }).map((pieces) => pieces.join(separators.charAt(0))),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
  );
}
