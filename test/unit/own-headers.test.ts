import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Generation,
  GENERATIONS,
  HEADER_BYTES,
  type HeaderKind,
  HeaderTemplate,
  MEMORY_FORMATS,
  SUM_DIGITS,
  chunkNamer,
  decodeHeader,
  encodeHeader,
  spellSums,
  sumBlockBytes,
} from '../../src/layout/index.js';
import type { ChunkHash } from '../../src/hash/index.js';
import { ChunkSet, type PromptChunk } from '../../src/store/chunk-set.js';
import type { ChunkTensor } from '../../src/store/model.js';
import { OwnHeaders } from '../../src/store/own-headers.js';
import { compareSums, judge } from '../../src/store/verify.js';
import { chunkHashes } from './arbitraries.js';
import { survive } from './expect-code.js';

const tensor: ChunkTensor = {
  dtype: 'BF16',
  shape: [2, 5, 256, 1024],
  format: MEMORY_FORMATS.KV_2LTD,
  bytes: 5 * 2 ** 20,
};
const DIGEST = '0123456789abcdef'.repeat(4);
const SUMS = BigUint64Array.of(0x0123_4567_89ab_cdefn, 7n);
const KINDS: readonly HeaderKind[] = ['json', 'binary'];

const generationWith = (kind: HeaderKind): Generation =>
  GENERATIONS.find(({ header }) => header === kind) ?? expect.fail(`no generation has ${kind} headers`);

/** A set of one chunk, its headers, and what `judge` would be asked. */
function oneChunk(
  kind: HeaderKind,
  { modelName = 'org/m', hash = 0xabcdn, index = 3 }: { modelName?: string; hash?: ChunkHash; index?: number } = {},
) {
  const generation = generationWith(kind);
  const chunk: PromptChunk = { index, start: index * 256, end: (index + 1) * 256, tensor, hash };
  const namer = chunkNamer(generation, '/c', { modelName, worldSize: 1, workerId: 0, dtype: 'bfloat16' }, '.weka1');
  let asked = 0;
  const digest = () => {
    asked++;
    return DIGEST;
  };
  const set = new ChunkSet({ skipTokens: 0, generation, digest }, [chunk], [namer]);
  const expected = { path: '/c/x', key: set.key(chunk), tensor, digest: () => DIGEST };
  return { own: new OwnHeaders(set), chunk, expected, key: set.key(chunk), digests: () => asked };
}

/** A header as it lies in a batch's second place. */
function second(bytes: Uint8Array): Buffer {
  const headers = Buffer.alloc(2 * HEADER_BYTES);
  headers.set(bytes, HEADER_BYTES);
  return headers;
}

describe.each(KINDS)('a %s header from a template', (kind) => {
  it('is the one that is encoded from its description', () => {
    fc.assert(
      fc.property(chunkHashes, fc.nat(), fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), fc.boolean(), run),
    );
    function run(hash: ChunkHash, index: number, name: string, checksums: boolean) {
      const made = survive(() => oneChunk(kind, { modelName: name, hash, index }));
      if (made === undefined) return; // not every text is a model's name
      const { own, chunk, key } = made;
      const written = Buffer.alloc(2 * HEADER_BYTES, 0xee);
      const sumsAt = own.write(written, HEADER_BYTES, chunk, checksums);
      const extras = { key, chunkIndex: index, prefix: DIGEST, ...(checksums && { sumBlock: 4 * 2 ** 20 }) };
      const encoded = encodeHeader({ ...tensor, extras }, kind);
      expect(written.subarray(HEADER_BYTES).equals(encoded.bytes)).toBe(true);
      expect(sumsAt).toBe(encoded.sumsAt);
      expect(decodeHeader(written, HEADER_BYTES).extras?.key).toBe(key);
    }
  });

  it('is recognised, and verified by its sums', () => {
    const { own, chunk, key } = oneChunk(kind);
    const extras = { key, chunkIndex: 3, prefix: DIGEST, sumBlock: 4 * 2 ** 20, sums: SUMS };
    const headers = second(encodeHeader({ ...tensor, extras }, kind).bytes);
    expect(own.recognise(headers, 1, chunk, spellSums(SUMS))).toBe('verified');
    expect(own.recognise(headers, 1, chunk, spellSums(BigUint64Array.of(1n, 7n)))).toBeUndefined();
    expect(own.recognise(headers, 1, chunk, undefined)).toBe('same');
  });

  it('without sums is the same, and verifies nothing', () => {
    const { own, chunk, key } = oneChunk(kind);
    const headers = second(encodeHeader({ ...tensor, extras: { key, chunkIndex: 3, prefix: DIGEST } }, kind).bytes);
    expect(own.recognise(headers, 1, chunk, spellSums(SUMS))).toBe('same');
    expect(own.recognise(headers, 1, chunk, undefined)).toBe('same');
  });

  it('is never recognised where judging it would say otherwise', () => {
    const { own, chunk, expected, key } = oneChunk(kind);
    const extras = { key, chunkIndex: 3, prefix: DIGEST, sumBlock: sumBlockBytes(tensor.bytes), sums: SUMS };
    const { bytes } = encodeHeader({ ...tensor, extras }, kind);
    const digits = spellSums(SUMS);
    fc.assert(
      fc.property(fc.nat(HEADER_BYTES - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, summed) => {
        const headers = second(bytes);
        headers[HEADER_BYTES + at] = (bytes[at] ?? 0) ^ change;
        const seen = own.recognise(headers, 1, chunk, summed ? digits : undefined);
        if (seen === undefined) return;
        const verdict = judge(headers, 1, expected);
        expect(verdict.kind).toBe('same');
        if (verdict.kind === 'same' && seen === 'verified') {
          expect(compareSums('/c/x', verdict.header, SUMS)).toBe(true);
        }
      }),
    );
  });

  it('is not recognised with any byte changed that says or pads something', () => {
    const { own, chunk, key } = oneChunk(kind);
    const extras = { key, chunkIndex: 3, prefix: DIGEST, sumBlock: sumBlockBytes(tensor.bytes), sums: SUMS };
    const { bytes } = encodeHeader({ ...tensor, extras }, kind);
    const headers = second(bytes);
    const digits = spellSums(SUMS);
    const passed: number[] = [];
    for (let at = 0; at < HEADER_BYTES; at++) {
      headers[HEADER_BYTES + at] = (bytes[at] ?? 0) ^ 1;
      if (own.recognise(headers, 1, chunk, digits) !== undefined) passed.push(at);
      headers[HEADER_BYTES + at] = bytes[at] ?? 0;
    }
    expect(passed).toEqual([]);
    expect(own.recognise(headers, 1, chunk, digits)).toBe('verified');
  });

  it('is told from a longer and a shorter one that were seen before', () => {
    const long = oneChunk(kind, { index: 123_456 });
    const template = new HeaderTemplate(tensor, 0, kind);
    const identity = (index: number) => ({ jsonKey: JSON.stringify(long.key), chunkIndex: index, prefix: DIGEST });
    const headers = Buffer.alloc(HEADER_BYTES);
    for (const index of [7, 123_456, 8, 99]) {
      template.write(headers, 0, identity(index));
      expect(template.matches(headers, 0, identity(index), '')).toBe(true);
      expect(template.matches(headers, 0, identity(index + 1), '')).toBe(false);
    }
  });
});

describe('headers that were foreseen', () => {
  it.each(KINDS)('are recognised without asking for a digest again: %s', (kind) => {
    const { own, chunk, key, digests } = oneChunk(kind);
    const ours = second(encodeHeader({ ...tensor, extras: { key, chunkIndex: 3, prefix: DIGEST } }, kind).bytes);
    const another = second(encodeHeader({ ...tensor, extras: { key, chunkIndex: 4, prefix: DIGEST } }, kind).bytes);
    own.foresee([chunk]);
    expect(digests()).toBe(1);
    expect(own.recognise(ours, 1, chunk, undefined)).toBe('same');
    expect(own.recognise(another, 1, chunk, undefined)).toBeUndefined();
    expect(digests()).toBe(1);
  });
});

describe('a header that is not ours', () => {
  it.each(KINDS)('such as LMCache’s own %s one, asks for no digest', (kind) => {
    const generation = generationWith(kind);
    const chunk: PromptChunk = { index: 0, start: 0, end: 256, tensor, hash: 1n };
    const namer = chunkNamer(generation, '/c', { modelName: 'm', worldSize: 1, workerId: 0, dtype: 'bfloat16' }, '.w');
    const digest = () => expect.fail('the digest costs, and nothing is compared with it');
    const own = new OwnHeaders(new ChunkSet({ skipTokens: 0, generation, digest }, [chunk], [namer]));
    expect(own.recognise(second(encodeHeader(tensor, kind).bytes), 1, chunk, undefined)).toBeUndefined();
  });

  it('of a tensor that its generation can’t describe is left to be judged', () => {
    const generation = generationWith('binary');
    const strange: ChunkTensor = { ...tensor, dtype: 'I8', bytes: tensor.bytes / 2 };
    const chunk: PromptChunk = { index: 0, start: 0, end: 256, tensor: strange, hash: 1n };
    const namer = chunkNamer(generation, '/c', { modelName: 'm', worldSize: 1, workerId: 0, dtype: 'int8' }, '.w');
    const set = new ChunkSet({ skipTokens: 0, generation, digest: () => DIGEST }, [chunk], [namer]);
    expect(new OwnHeaders(set).recognise(Buffer.alloc(HEADER_BYTES), 0, chunk, undefined)).toBeUndefined();
  });
});

describe('sums in hex', () => {
  it('are 16 lowercase digits each, the most significant first', () => {
    expect(spellSums(SUMS)).toBe(`0123456789abcdef${'7'.padStart(SUM_DIGITS, '0')}`);
    expect(spellSums(new BigUint64Array(0))).toBe('');
  });
});
