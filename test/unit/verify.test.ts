import { describe, expect, it } from 'vitest';

import { type ChunkHeader, HEADER_BYTES, encodeHeader, sumBlockBytes } from '../../src/layout/index.js';
import type { ChunkTensor } from '../../src/store/model.js';
import { type Expected, type Verdict, compareSums, judge } from '../../src/store/verify.js';

const tensor: ChunkTensor = { dtype: 'BF16', shape: [2, 2, 4, 8], format: 1, bytes: 256 };
const PREFIX = 'ab'.repeat(32);
const expected: Expected = { path: '/c/x', key: 'm@1@0@ab@bfloat16', tensor, digest: () => PREFIX };
const ours: ChunkHeader = { ...tensor, extras: { key: expected.key, prefix: PREFIX, sumBlock: sumBlockBytes(256) } };

/** Judges a header that stands in the second place. */
function verdictOf(header: ChunkHeader, on: Expected = expected): Verdict {
  const headers = new Uint8Array(2 * HEADER_BYTES);
  headers.set(encodeHeader(header).bytes, HEADER_BYTES);
  return judge(headers, 1, on);
}

const codeOf = (verdict: Verdict) => (verdict.kind === 'same' ? undefined : verdict.error.code);

describe('a header', () => {
  it('of the chunk that was asked for is the same', () => {
    const verdict = verdictOf(ours);
    expect(verdict).toMatchObject({ kind: 'same', header: { payloadBytes: 256 } });
  });

  it('of LMCache’s is the same, and asks for no digest', () => {
    const digest = () => expect.fail('the digest costs, and nothing is compared with it');
    expect(verdictOf({ dtype: 'BF16', shape: [2, 2, 4, 8], format: 1 }, { ...expected, digest }).kind).toBe('same');
  });

  it('of another prompt is a collision', () => {
    const verdict = verdictOf(ours, { ...expected, digest: () => 'cd'.repeat(32) });
    expect([verdict.kind, codeOf(verdict)]).toEqual(['collision', 'KVO_CHUNK_COLLISION']);
  });

  it('of another key is corrupt, before anything else is asked', () => {
    const verdict = verdictOf({ ...ours, shape: [1, 8] }, { ...expected, key: 'm@1@1@ab@bfloat16' });
    expect([verdict.kind, codeOf(verdict)]).toEqual(['corrupt', 'KVO_CHUNK_CORRUPT']);
  });

  it.each<[string, Partial<ChunkHeader>]>([
    ['dtype', { dtype: 'F16' }],
    ['shape', { shape: [2, 4, 2, 8] }],
    ['number of dimensions', { shape: [2, 2, 32] }],
    ['format', { format: 0 }],
    ['number of tensors', { groups: [tensor, { dtype: 'U8', shape: [4] }] }],
  ])('of another %s is foreign', (_, change) => {
    const verdict = verdictOf({ ...ours, ...change });
    expect([verdict.kind, codeOf(verdict)]).toEqual(['foreign', 'KVO_SHAPE_MISMATCH']);
  });

  it('that is none is corrupt, by the code that says why', () => {
    const verdict = judge(new Uint8Array(2 * HEADER_BYTES), 1, expected);
    expect([verdict.kind, codeOf(verdict)]).toEqual(['corrupt', 'KVO_HEADER_INVALID']);
  });
});

describe('sums', () => {
  const payloadBytes = 9 * 2 ** 20;
  const header = {
    kind: 'json' as const,
    ...tensor,
    payloadBytes,
    extras: { sumBlock: sumBlockBytes(payloadBytes), sums: BigUint64Array.of(1n, 2n, 3n) },
  };

  it('that are the same verify', () => {
    expect(compareSums('/c/x', header, BigUint64Array.of(1n, 2n, 3n))).toBe(true);
  });

  it('that differ say in which block', () => {
    const error = compareSums('/c/x', header, BigUint64Array.of(1n, 2n, 4n));
    expect(error).toMatchObject({ code: 'KVO_CHUNK_CORRUPT', message: expect.stringContaining('block 2') as string });
  });

  it('that are not there, or of other blocks, verify nothing', () => {
    const { extras: _, ...without } = header;
    expect(compareSums('/c/x', without, BigUint64Array.of(1n, 2n, 3n))).toBeUndefined();
    const wider = { ...header, extras: { ...header.extras, sumBlock: 8 * 2 ** 20 } };
    expect(compareSums('/c/x', wider, BigUint64Array.of(1n, 2n, 3n))).toBeUndefined();
  });
});
