/** What callers without a type checker may hand in: a typed error each, before anything is touched. */
import { describe, expect, it } from 'vitest';
import type { ErrorCode, Tokens } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets } from '../support/engine.js';
import { filesBelow, temporaryDirectory } from '../support/directories.js';
import { thrown } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';

function detachedTokens(): Uint32Array {
  const view = new Uint32Array(CHUNK);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

describe('tokens', () => {
  it.each<[string, unknown]>([
    ['a negative one', [1, -1]],
    ['a fraction', [0.5]],
    ['2^53', [2 ** 53]],
    ['not a number', [NaN]],
    ['infinity', [Infinity]],
    ['text for one', ['1']],
    ['a bigint in an array', [1n]],
    ['a hole', new Array<number>(3)],
    ['null for one', [null]],
    ['a list of lists', [[1, 2]]],
    ['text', '1 2 3'],
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { length: 2, 0: 1, 1: 2 }],
    ['floats', Float64Array.of(1, 2)],
    ['signed 32-bit numbers', Int32Array.of(1, 2)],
    ['unsigned 64-bit numbers', BigUint64Array.of(1n)],
    ['a negative bigint', BigInt64Array.of(-1n)],
    ['a bigint of 2^53', BigInt64Array.of(2n ** 53n)],
    ['a detached array', detachedTokens()],
  ])('are refused by every call: %s', async (_, bad) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const given = bad as Tokens;
    const calls = [
      () => engine.lookup(given),
      () => engine.store(given, payloads(1)),
      () => engine.retrieve(given, targets(1)),
      () => engine.prepare(given),
    ];
    for (const call of calls)
      expect(await thrown(call)).toMatchObject({ code: 'KVO_TOKENS_INVALID', retriable: false });
    expect(filesBelow(base)).toEqual([]);
  });

  it('may be none', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), settings: { save_unfull_chunk: true } });
    for (const none of [[], new Uint32Array(), new BigInt64Array()]) {
      expect(await engine.lookup(none)).toBe(0);
      expect(await engine.store(none, [])).toEqual({ present: 0, chunks: [] });
      expect(await engine.retrieve(none, [])).toEqual({ tokens: 0, chunks: [] });
    }
  });

  it('may be the largest', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const largest = new Array<number>(CHUNK).fill(2 ** 53 - 1);
    await engine.store(largest, payloads(1));
    expect(await engine.lookup(BigInt64Array.from(largest, BigInt))).toBe(CHUNK);
  });
});

describe('a model', () => {
  it.each<[string, Record<string, unknown>, ErrorCode]>([
    ['without a name', { modelName: '' }, 'KVO_MODEL_INVALID'],
    ['with a number for a name', { modelName: 7 }, 'KVO_MODEL_INVALID'],
    ['without a shape', { kvShape: undefined }, 'KVO_MODEL_INVALID'],
    ['with four dimensions', { kvShape: [2, 2, CHUNK, 2] }, 'KVO_MODEL_INVALID'],
    ['with no layer', { kvShape: [0, 2, CHUNK, 2, 8] }, 'KVO_MODEL_INVALID'],
    ['with half a head', { kvShape: [2, 2, CHUNK, 0.5, 8] }, 'KVO_MODEL_INVALID'],
    ['with text in its shape', { kvShape: [2, 2, CHUNK, '2', 8] }, 'KVO_MODEL_INVALID'],
    ['with another chunk size', { kvShape: [2, 2, 256, 2, 8] }, 'KVO_MODEL_INVALID'],
    ['of one tensor without useMla', { kvShape: [2, 1, CHUNK, 2, 8] }, 'KVO_MODEL_INVALID'],
    ['of two tensors with useMla', { useMla: true }, 'KVO_MODEL_INVALID'],
    ['larger than numbers go', { kvShape: [2 ** 30, 2, CHUNK, 2 ** 20, 128] }, 'KVO_MODEL_INVALID'],
    ['with world size 0', { worldSize: 0 }, 'KVO_MODEL_INVALID'],
    ['with a worker beyond its world', { worldSize: 2, workerId: 2 }, 'KVO_MODEL_INVALID'],
    ['with a negative worker', { workerId: -1 }, 'KVO_MODEL_INVALID'],
    ['with an unknown dtype', { kvDtype: 'float17' }, 'KVO_DTYPE_UNKNOWN'],
    ['without a dtype', { kvDtype: undefined }, 'KVO_DTYPE_UNKNOWN'],
    ['with a dtype that keys cannot name', { kvDtype: 'uint16' }, 'KVO_DTYPE_UNKNOWN'],
    ['with a dtype that headers cannot name', { kvDtype: 'fp8_e4m3fnuz' }, 'KVO_DTYPE_UNKNOWN'],
  ])('is refused: %s', async (_, model, code) => {
    const base = temporaryDirectory();
    const error = await thrown(() => openEngine({ base, model }));
    expect(error).toMatchObject({ code, retriable: false });
    expect(filesBelow(base)).toEqual([]);
  });
});

describe('a name', () => {
  it.each<[string, string, ErrorCode]>([
    ['with @, which separates fields', 'a@b', 'KVO_KEY_INVALID'],
    ['with half a surrogate pair', 'a\ud800', 'KVO_KEY_INVALID'],
    ['of more than a file name may have', 'm'.repeat(200), 'KVO_KEY_TOO_LONG'],
    ['of more than it may have once escaped', '/'.repeat(80), 'KVO_KEY_TOO_LONG'],
  ])('of a model is refused: %s', async (_, modelName, code) => {
    const base = temporaryDirectory();
    const all = await thrown(async () => {
      const engine = await openEngine({ base, model: { modelName } });
      await engine.store(tokens(CHUNK), payloads(1));
    });
    expect(all).toMatchObject({ code, retriable: false });
    expect(filesBelow(base)).toEqual([]);
  });

  it('may be as long as fits, sidecar and temporary file included', async () => {
    const base = temporaryDirectory();
    // name@1@0@16 digits@bfloat16.kvcache.safetensors.metadata, each @ escaped to three bytes
    const fixed = '%401%400%40%40bfloat16.kvcache.safetensors.metadata'.length + 16;
    const engine = await openEngine({ base, model: { modelName: 'm'.repeat(255 - fixed) } });
    expect((await engine.store(tokens(CHUNK), payloads(1))).present).toBe(1);
    expect(Math.max(...filesBelow(base).map((file) => file.split('/').at(-1)?.length ?? 0))).toBe(255);
    expect(await engine.lookup(tokens(CHUNK))).toBe(CHUNK);
    const longer = await openEngine({ base, model: { modelName: 'm'.repeat(256 - fixed) } });
    for (const call of [() => longer.lookup(tokens(CHUNK)), () => longer.retrieve(tokens(CHUNK), targets(1))]) {
      expect(await thrown(call)).toMatchObject({ code: 'KVO_KEY_TOO_LONG' });
    }
  });

  it.each<[string, Record<string, unknown>, ErrorCode]>([
    ['with @ in its name', { 'a@b': 'x' }, 'KVO_KEY_INVALID'],
    ['with % in its name', { 'a%b': 'x' }, 'KVO_KEY_INVALID'],
    ['with @ in its value', { a: 'x@y' }, 'KVO_KEY_INVALID'],
    ['with a number for a value', { a: 7 }, 'KVO_ARGUMENT_INVALID'],
    ['with nothing for a value', { a: undefined }, 'KVO_ARGUMENT_INVALID'],
    ['that is no pair', ['a'] as never, 'KVO_ARGUMENT_INVALID'],
    ['that is too long', { a: 'x'.repeat(250) }, 'KVO_KEY_TOO_LONG'],
  ])('of a tag is refused: %s', async (_, tags, code) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const options = { tags: tags as Record<string, string> };
    expect(await thrown(() => engine.store(tokens(CHUNK), payloads(1), options))).toMatchObject({ code });
    expect(await thrown(() => engine.lookup(tokens(CHUNK), options))).toMatchObject({ code });
  });
});

describe('sources and targets', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['one view, not a list', new Uint8Array(CHUNK_BYTES)],
    ['an object', {}],
  ])('are refused: %s', async (_, memory) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const given = memory as Uint8Array[];
    expect(await thrown(() => engine.store(tokens(CHUNK), given))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
    expect(await thrown(() => engine.retrieve(tokens(CHUNK), given))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});

describe('what this version does not do', () => {
  it('is refused when the engine opens', async () => {
    const mla = { useMla: true, kvShape: [2, 1, CHUNK, 1, 8] as const };
    const base = temporaryDirectory();
    expect(await thrown(() => openEngine({ base, settings: { use_layerwise: true }, model: mla }))).toMatchObject({
      code: 'KVO_UNSUPPORTED',
    });
    expect(await thrown(() => openEngine({ base, own: { require_gds: true, device: 'cpu' } }))).toMatchObject({
      code: 'KVO_TRANSPORT_UNAVAILABLE',
    });
  });
});

describe('chunks by key or path', () => {
  it.each<[string, () => object, ErrorCode]>([
    ['a key of too few fields', () => ({ key: 'm@1@0' }), 'KVO_KEY_INVALID'],
    ['a key that is too long', () => ({ key: `${'m'.repeat(240)}@1@0@ab@half` }), 'KVO_KEY_TOO_LONG'],
    ['a key of no chunk', () => ({ key: 'm@1@0@ab@half' }), 'KVO_NOT_FOUND'],
    ['a path of nothing', () => ({ path: '/nonexistent/chunk' }), 'KVO_NOT_FOUND'],
    ['a path of a directory', () => ({ path: '/' }), 'KVO_PATH_UNUSABLE'],
  ])('are refused when read: %s', async (_, chunk, code) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    expect(await thrown(() => engine.readChunk(chunk() as { key: string }))).toMatchObject({ code });
  });

  it.each<[string, [string, object, unknown], ErrorCode]>([
    ['a bad key', ['m@1', { dtype: 'half', shape: [2] }, new Uint8Array(4)], 'KVO_KEY_INVALID'],
    ['a dtype nobody knows', ['m@1@0@1@half', { dtype: 'hald', shape: [2] }, new Uint8Array(4)], 'KVO_DTYPE_UNKNOWN'],
    ['too few bytes', ['m@1@0@1@half', { dtype: 'half', shape: [2] }, new Uint8Array(3)], 'KVO_SHAPE_MISMATCH'],
    ['too many bytes', ['m@1@0@1@half', { dtype: 'half', shape: [2] }, new Uint8Array(5)], 'KVO_SHAPE_MISMATCH'],
    ['a shape of nothing', ['m@1@0@1@half', { dtype: 'half', shape: [0] }, new Uint8Array(1)], 'KVO_SHAPE_MISMATCH'],
    [
      'a format nobody knows',
      ['m@1@0@1@half', { dtype: 'half', shape: [2], format: 99 }, new Uint8Array(4)],
      'KVO_ARGUMENT_INVALID',
    ],
    ['no bytes', ['m@1@0@1@half', { dtype: 'half', shape: [2] }, 'ab'], 'KVO_MEMORY_INVALID'],
  ])('are refused when written: %s', async (_, [key, tensor, bytes], code) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const write = () => engine.writeChunk(key, tensor as { dtype: string; shape: number[] }, bytes as Uint8Array);
    expect(await thrown(write)).toMatchObject({ code });
    expect(filesBelow(base)).toEqual([]);
  });
});
