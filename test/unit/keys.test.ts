import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DTYPES, dtypeOf, headerDtype, keyDtype } from '../../src/dtypes.js';
import { type ChunkKey, type KeyFields, formatKey, hasKeyFields, parseKey } from '../../src/keys.js';
import { messageOf, survive } from './expect-code.js';
import { type GoldenKey, generation, golden, hashOf, tagsOf } from './golden.js';
import { anyText, chunkHashes, chunkKeys } from './arbitraries.js';

const plain: ChunkKey = { modelName: 'm', worldSize: 1, workerId: 0, chunkHash: 0xabcdn, dtype: 'bfloat16' };

/** LMCache's key as ours; the vectors are of rank 3 of 8. */
function keyOf(key: GoldenKey): ChunkKey {
  const tags = tagsOf(key);
  return {
    modelName: key.model,
    worldSize: 8,
    workerId: 3,
    chunkHash: hashOf(key),
    dtype: keyDtype(key.dtype),
    ...(tags.length === 0 ? {} : { tags }),
  };
}

/** The fields of each generation's keys. */
const UNTYPED: KeyFields = { lead: 'vllm', dtype: false };
const LED: KeyFields = { lead: 'vllm', dtype: true };
const PLAIN: KeyFields = { dtype: true };
const GENERATIONS: [string, KeyFields][] = [
  ['0.3.6-0.3.9', UNTYPED],
  ['0.3.10-0.3.11', LED],
  ['0.3.12', LED],
  ['0.3.13-0.4.2', PLAIN],
  ['0.4.3-0.5.6', PLAIN],
];

describe('formatKey', () => {
  const vectors = golden.keys.filter((key) => !key.layer);
  const [spoken, ambiguous] = [vectors.filter((k) => k.model !== 'm@x'), vectors.filter((k) => k.model === 'm@x')];

  it('spells every key of the vectors as LMCache does', () => {
    expect(spoken.length + ambiguous.length).toBe(256);
    expect(spoken.filter((key) => key.bytes).length).toBeGreaterThan(20);
    for (const key of spoken) {
      expect(formatKey(keyOf(key))).toBe(key.str);
      expect(parseKey(key.str)).toEqual(keyOf(key));
    }
    const layerwise = golden.keys.filter((key) => key.layer).map((key) => key.str);
    expect(layerwise).toEqual([formatKey({ ...plain, layerId: 4, tags: [['t', 'v']] })]);
  });

  it.each(GENERATIONS)('spells every key of LMCache %s', (name, fields) => {
    const keys = generation(name).keys;
    expect(keys).toHaveLength(48);
    for (const golden of keys) {
      const key = keyOf(golden);
      expect(formatKey(key, fields)).toBe(golden.key);
      const { dtype, ...untyped } = key;
      expect(parseKey(golden.key, fields)).toEqual(fields.dtype ? { ...untyped, dtype } : untyped);
    }
  });

  it('refuses a model name with the separator, which LMCache writes and cannot read back', () => {
    expect(ambiguous.length).toBeGreaterThan(0);
    for (const key of ambiguous) {
      expect(messageOf('KVO_KEY_INVALID', () => formatKey(keyOf(key)))).toContain('the model name holds @');
    }
  });

  it.each<[string, Partial<Record<keyof ChunkKey, unknown>>]>([
    ['model name is empty', { modelName: '' }],
    ['model name is no string', { modelName: 5 }],
    ['model name holds half of a surrogate pair', { modelName: 'a\ud800' }],
    ['world size', { worldSize: 1.5 }],
    ['world size', { worldSize: -1 }],
    ['worker id', { workerId: NaN }],
    ['worker id', { workerId: 2 ** 53 }],
    ['dtype', { dtype: 'float16' }],
    ['dtype', { dtype: undefined }],
    ['layer id', { layerId: -1 }],
    ['tag name holds @', { tags: [['a@b', 'v']] }],
    ['tag name holds %', { tags: [['a%b', 'v']] }],
    ['value of tag t holds @', { tags: [['t', 'a@b']] }],
    ['hash', { chunkHash: 2n ** 256n }],
    ['hash', { chunkHash: -(2n ** 256n) }],
    ['hash', { chunkHash: 5 }],
    ['hash is no bigint', { chunkHash: 2n ** 127n }],
    ['hash is no bigint', { chunkHash: 2n ** 255n }],
    ['hash is not the 32 or 64', { chunkHash: 'abcd' }],
    ['hash is not the 32 or 64', { chunkHash: 'A'.repeat(64) }],
    ['hash is not the 32 or 64', { chunkHash: 'a/'.repeat(16) }],
  ])('names the field that cannot be spelled: %s', (field, bad) => {
    expect(messageOf('KVO_KEY_INVALID', () => formatKey({ ...plain, ...bad } as ChunkKey))).toContain(field);
  });
});

describe('parseKey', () => {
  it.each(Object.entries(golden.parse))('reads %j as LMCache does', (text, expected) => {
    if (expected.error !== undefined) {
      messageOf('KVO_KEY_INVALID', () => parseKey(text));
      return;
    }
    const key = parseKey(text);
    expect(key).toEqual({
      modelName: expected.model,
      worldSize: expected.ws,
      workerId: expected.wid,
      chunkHash: BigInt(expected.hash),
      dtype: expected.dtype,
      ...(expected.layer === null ? {} : { layerId: expected.layer }),
      ...(expected.tags === null ? {} : { tags: expected.tags }),
    });
    expect(formatKey(key)).toBe(expected.again);
  });

  it.each([
    ['', 'fewer than 5 fields'],
    ['m@1@0@abcd', 'fewer than 5 fields'],
    ['@1@0@abcd@half', 'model name is empty'],
    ['m@x@0@abcd@half', 'world size "x"'],
    ['m@@0@abcd@half', 'world size ""'],
    ['m@1@9007199254740992@abcd@half', 'worker id "9007199254740992"'],
    ['m@1@0@@half', 'hash ""'],
    ['m@1@0@-@half', 'hash "-"'],
    ['m@1@0@0x@half', 'hash "0x"'],
    [`m@1@0@${'f'.repeat(65)}@half`, 'not 1 to 64 hex digits'],
    ['m@1@0@abcd@F16', 'dtype "F16"'],
    ['m@1@0@abcd@constructor', 'dtype "constructor"'],
    ['m@1@0@abcd@half@99999999999999999999', 'layer id'],
    ['m@1@0@abcd@half@4@5', 'tag "5" has no %'],
    ['m@1@0@abcd@half@t%v@', 'tag "" has no %'],
    ['m\udc00@1@0@abcd@half', 'half of a surrogate pair'],
    ['vllm@m@1@0@abcd', 'as keys of LMCache before 0.3.13 do; set lmcache_version'],
    ['vllm@m@1@0@abcd@half', 'as keys of LMCache before 0.3.13 do; set lmcache_version'],
  ])('names the field that is wrong in %j', (text, why) => {
    expect(messageOf('KVO_KEY_INVALID', () => parseKey(text))).toContain(why);
  });

  it('keeps hashes beyond 2^53 exact', () => {
    expect(parseKey('m@1@0@ffffffffffffffff@half').chunkHash).toBe(18446744073709551615n);
    expect(parseKey('m@1@0@-4950f44fcb5fa1b6@half').chunkHash).toBe(-5282990986457227702n);
  });

  it('takes exactly 32 or 64 digits for the bytes of a digest, as no 64-bit number has', () => {
    for (const digits of ['0'.repeat(32), 'ab'.repeat(32)]) {
      for (const text of [digits, `0x${digits.toUpperCase()}`]) {
        expect(parseKey(`m@1@0@${text}@half`).chunkHash).toBe(digits);
      }
      expect(parseKey(`m@1@0@-${digits}@half`).chunkHash).toBe(-BigInt(`0x${digits}`));
    }
  });

  it.each<[string, KeyFields, string]>([
    ['m@1@0@abcd', UNTYPED, 'does not begin with vllm@; a key of that LMCache is vllm@model@world_size@worker_id@hash'],
    ['vllm@m@1@0', UNTYPED, 'fewer than 5 fields'],
    ['vllm@m@1@0@abcd@half', UNTYPED, 'tag "half" has no %'],
    ['vllm@m@1@0@abcd', LED, 'fewer than 6 fields; a key is vllm@model@world_size@worker_id@hash@dtype'],
    ['vllm@@1@0@abcd@half', LED, 'model name is empty'],
    ['vllm@1@0@abcd@half@t%v', LED, 'dtype "t%v"'],
  ])('reads no key of another generation: %j', (text, fields, why) => {
    expect(messageOf('KVO_KEY_INVALID', () => parseKey(text, fields))).toContain(why);
  });

  it('takes a model that has the name of the leading field for one where there is none', () => {
    expect(parseKey('vllm@1@0@abcd@half').modelName).toBe('vllm');
    expect(parseKey('vllm@vllm@1@0@abcd@half', LED).modelName).toBe('vllm');
  });

  it('cuts a long key in its message', () => {
    expect(messageOf('KVO_KEY_INVALID', () => parseKey('x'.repeat(1e6))).length).toBeLessThan(500);
  });

  it.each([UNTYPED, LED, PLAIN])('survives any text: %j', (fields) => {
    fc.assert(
      fc.property(anyText('@%'), fc.boolean(), (text, led) => {
        const given = led ? `vllm@${text}` : text;
        const key = survive(() => parseKey(given, fields));
        if (!key) return;
        expect(parseKey(formatKey(key, fields), fields)).toEqual(key);
        expect(hasKeyFields(given, fields)).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  it.each([UNTYPED, LED, PLAIN])('reads back whatever can be spelled: %j', (fields) => {
    fc.assert(
      fc.property(chunkKeys, chunkHashes, (identity, chunkHash) => {
        const { dtype, ...rest } = { ...identity, chunkHash };
        const key: ChunkKey = fields.dtype && dtype !== undefined ? { ...rest, dtype } : rest;
        expect(parseKey(formatKey({ ...identity, chunkHash }, fields), fields)).toEqual(key);
      }),
      { numRuns: 1000 },
    );
  });

  it('tells generations apart by where integers and dtypes stand', () => {
    const told = (text: string) => [UNTYPED, LED, PLAIN].map((fields) => hasKeyFields(text, fields));
    expect(told('vllm@m@1@0@abcd')).toEqual([true, false, false]);
    expect(told('vllm@m@1@0@abcd@t%v')).toEqual([true, false, false]);
    expect(told('vllm@m@1@0@abcd@half')).toEqual([false, true, false]);
    expect(told('vllm@m@1@0@abcd@half@t%v')).toEqual([false, true, false]);
    expect(told('m@1@0@abcd@half')).toEqual([false, false, true]);
    // A model of that name: the rank, "abcd", is then no integer, which parsing says.
    expect(told('vllm@1@0@abcd@half')).toEqual([true, false, true]);
    messageOf('KVO_KEY_INVALID', () => parseKey('vllm@1@0@abcd@half', UNTYPED));
    expect(told('m@1@0@abcd')).toEqual([false, false, false]);
    expect(told('')).toEqual([false, false, false]);
  });
});

describe('dtypes', () => {
  it('have one row for each of their names', () => {
    for (const row of DTYPES) {
      for (const name of [row.torch, `torch.${row.torch}`, row.key, row.header]) {
        if (name !== undefined) expect(dtypeOf(name)).toBe(row);
      }
    }
  });

  it.each([
    ['torch.bfloat16', 'bfloat16', 'BF16', 2],
    ['half', 'half', 'F16', 2],
    ['torch.half', 'half', 'F16', 2],
    ['torch.float', 'float', 'F32', 4],
    ['double', 'double', 'F64', 8],
    ['long', 'int64', 'I64', 8],
    ['torch.float8_e4m3fn', 'fp8_e4m3fn', 'F8E4M3FN', 1],
    ['F8E5M2', 'fp8_e5m2', 'F8E5M2', 1],
  ])('know %s', (name, key, header, bytes) => {
    expect([keyDtype(name), headerDtype(name), dtypeOf(name).bytes]).toEqual([key, header, bytes]);
  });

  it.each([
    ['bf16', 'did you mean BF16?'],
    ['torch.bflot16', 'did you mean torch.bfloat16?'],
    ['fp8_e4m3', 'did you mean fp8_e4m3fn?'],
    ['', 'is not known'],
  ])('answer %j with the nearest name', (name, hint) => {
    expect(messageOf('KVO_DTYPE_UNKNOWN', () => dtypeOf(name))).toContain(hint);
  });

  it('refuse a name that LMCache lacks in that place', () => {
    expect(messageOf('KVO_DTYPE_UNKNOWN', () => keyDtype('U16'))).toContain("no name in LMCache's keys");
    expect(messageOf('KVO_DTYPE_UNKNOWN', () => headerDtype('bool'))).toContain("no name in LMCache's headers");
  });
});
