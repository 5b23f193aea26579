/** What a chunk's memory may be: slots, any view, regions, and lists of parts of them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ChunkMemory, KVCacheEngine } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets } from '../support/engine.js';
import { onHost } from '../support/device-memory.js';
import { temporaryDirectory } from '../support/directories.js';
import { outcomesOf, thrown } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const bytes = payload(1, CHUNK_BYTES);
const prompt = tokens(CHUNK);

/** Stores from `source`, retrieves into `target`; then `target` must hold `bytes`. */
async function roundTrip(engine: KVCacheEngine, source: ChunkMemory, target: ChunkMemory): Promise<void> {
  expect(outcomesOf(await engine.store(prompt, [source]))).toEqual(['stored']);
  expect(outcomesOf(await engine.retrieve(prompt, [target]))).toEqual(['hit']);
}

describe('whole memory', () => {
  it('may be a slot', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const [from, into] = await engine.lease(2);
    if (!from || !into) return expect.fail('two slots');
    expect(from.bytes.byteLength).toBe(CHUNK_BYTES);
    from.bytes.set(bytes);
    await roundTrip(engine, from, into);
    expect(sameBytes(into.bytes, bytes)).toBe(true);
  });

  it.each([
    ['Uint8Array', (buffer: ArrayBuffer) => new Uint8Array(buffer)],
    ['Buffer', (buffer: ArrayBuffer) => Buffer.from(buffer)],
    ['Uint8ClampedArray', (buffer: ArrayBuffer) => new Uint8ClampedArray(buffer)],
    ['Int16Array', (buffer: ArrayBuffer) => new Int16Array(buffer)],
    ['Uint32Array', (buffer: ArrayBuffer) => new Uint32Array(buffer)],
    ['Float32Array', (buffer: ArrayBuffer) => new Float32Array(buffer)],
    ['Float64Array', (buffer: ArrayBuffer) => new Float64Array(buffer)],
    ['BigUint64Array', (buffer: ArrayBuffer) => new BigUint64Array(buffer)],
    ['DataView', (buffer: ArrayBuffer) => new DataView(buffer)],
  ])('may be a %s', async (_, viewOf) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const target = viewOf(new ArrayBuffer(CHUNK_BYTES));
    await roundTrip(engine, viewOf(bytes.slice().buffer), target);
    expect(sameBytes(target, bytes)).toBe(true);
  });

  it('may be a view into the middle of a buffer, at an odd address, and of shared memory', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const large = new Uint8Array(CHUNK_BYTES + 100);
    large.set(bytes, 33);
    const shared = new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES + 100), 7, CHUNK_BYTES);
    await roundTrip(engine, large.subarray(33, 33 + CHUNK_BYTES), shared);
    expect(sameBytes(shared, bytes)).toBe(true);
    expect(new Uint8Array(shared.buffer, 0, 7).every((byte) => byte === 0)).toBe(true);
    expect(new Uint8Array(shared.buffer, 7 + CHUNK_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  it('may be part of a registered region', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const memory = new ArrayBuffer(4 * CHUNK_BYTES);
    const region = engine.register(memory);
    expect(region.byteLength).toBe(4 * CHUNK_BYTES);
    new Uint8Array(memory).set(bytes, 10);
    const target = { memory: region, offset: 2 * CHUNK_BYTES + 1, length: CHUNK_BYTES };
    await roundTrip(engine, { memory: region, offset: 10, length: CHUNK_BYTES }, target);
    expect(sameBytes(new Uint8Array(memory, 2 * CHUNK_BYTES + 1, CHUNK_BYTES), bytes)).toBe(true);
    expect(region.release()).toBe(true);
    expect(region.release()).toBe(true);
  });
});

describe('a list of parts', () => {
  /** Cuts [0, CHUNK_BYTES) into pieces of odd lengths, as a paged KV cache would. */
  function pieces(lengths: readonly number[]): { start: number; length: number }[] {
    const cut: { start: number; length: number }[] = [];
    for (let start = 0, i = 0; start < CHUNK_BYTES; i++) {
      const length = Math.min(lengths[i % lengths.length] ?? 1, CHUNK_BYTES - start);
      cut.push({ start, length });
      start += length;
    }
    return cut;
  }

  it('moves in their order, however many and odd they are', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const pages = pieces([1, 3, 5, 7]).map(({ start, length }) => bytes.slice(start, start + length));
    expect(pages.length).toBeGreaterThan(500);
    const into = pieces([11, 2]).map(({ length }) => new Uint8Array(length));
    await roundTrip(engine, pages, into);
    expect(sameBytes(Buffer.concat(into), bytes)).toBe(true);
  });

  it('may mix slots, regions and views', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    const region = engine.register(new Uint8Array(100));
    slot.bytes.set(bytes);
    const target = new Uint8Array(CHUNK_BYTES);
    await roundTrip(
      engine,
      [
        { memory: slot, length: 1000 },
        { memory: slot, offset: 1000 },
      ],
      [{ memory: target, length: 500 }, { memory: region, offset: 90, length: 10 }, target.subarray(510)],
    );
    expect(sameBytes(target.subarray(0, 500), bytes.subarray(0, 500))).toBe(true);
    expect(sameBytes(target.subarray(510), bytes.subarray(510))).toBe(true);
    expect(target.subarray(500, 510).every((byte) => byte === 0)).toBe(true);
  });

  it('takes parts of no length for nothing', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const target = new Uint8Array(CHUNK_BYTES);
    await roundTrip(engine, [{ memory: bytes, length: 0 }, bytes, { memory: bytes, offset: CHUNK_BYTES }], target);
    expect(sameBytes(target, bytes)).toBe(true);
  });
});

describe('memory that does not fit', () => {
  it.each<[string, (engine: KVCacheEngine) => ChunkMemory]>([
    ['too short', () => new Uint8Array(CHUNK_BYTES - 1)],
    ['too long', () => new Uint8Array(CHUNK_BYTES + 1)],
    ['no parts', () => []],
    ['nothing', () => null as unknown as ChunkMemory],
    ['parts that are too short together', () => [new Uint8Array(CHUNK_BYTES - 2), new Uint8Array(1)]],
    ['parts that are too long together', () => [new Uint8Array(CHUNK_BYTES), new Uint8Array(1)]],
    ['a region of another size', (engine) => ({ memory: engine.register(new Uint8Array(CHUNK_BYTES + 1)) })],
  ])('is refused: %s', async (_, memory) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    for (const call of [
      () => engine.store(prompt, [memory(engine)]),
      () => engine.retrieve(prompt, [memory(engine)]),
    ]) {
      expect(await thrown(call)).toMatchObject({ code: 'KVO_SHAPE_MISMATCH', retriable: false });
    }
    expect(engine.stats().io['stores']).toBe(0);
  });

  it('of more chunks than the prompt has is refused', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    expect(await thrown(() => engine.store(prompt, payloads(2)))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
    expect(await thrown(() => engine.retrieve(prompt, targets(2)))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});

/** A buffer whose memory has gone to a copy. */
function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(CHUNK_BYTES);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

/** Views of a buffer made before it was detached. */
function viewOfDetached<View>(viewOf: (buffer: ArrayBuffer) => View): View {
  const buffer = new ArrayBuffer(CHUNK_BYTES);
  const view = viewOf(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

describe('memory that cannot be used', () => {
  const resizable = () =>
    new Uint8Array(Reflect.construct(ArrayBuffer, [CHUNK_BYTES, { maxByteLength: 4096 }]) as ArrayBuffer);
  const growable = () =>
    new Uint8Array(Reflect.construct(SharedArrayBuffer, [CHUNK_BYTES, { maxByteLength: 4096 }]) as SharedArrayBuffer);
  const unusable: [string, (engine: KVCacheEngine) => unknown][] = [
    ['a view of a resizable buffer', resizable],
    ['a view of a growable shared buffer', growable],
    ['a view of a detached buffer', () => viewOfDetached((buffer) => new Uint8Array(buffer))],
    ['a DataView of a detached buffer', () => viewOfDetached((buffer) => new DataView(buffer))],
    ['an empty view', () => new Uint8Array(0)],
    ['a number', () => 7],
    ['text', () => 'bytes'],
    ['a buffer without a view', () => new ArrayBuffer(CHUNK_BYTES)],
    ['an array of numbers', () => [1, 2, 3]],
    ['an object without memory', () => ({ offset: 0, length: CHUNK_BYTES })],
    ['a part from a negative offset', () => ({ memory: new Uint8Array(CHUNK_BYTES), offset: -1 })],
    ['a part from a fraction', () => ({ memory: new Uint8Array(CHUNK_BYTES), offset: 0.5, length: 1 })],
    ['a part beyond the end', () => ({ memory: new Uint8Array(CHUNK_BYTES), offset: 1, length: CHUNK_BYTES })],
    ['a part of a length that is no number', () => ({ memory: new Uint8Array(CHUNK_BYTES), length: '1' })],
    ['a part that would overflow', () => ({ memory: new Uint8Array(8), offset: 2 ** 53 - 1, length: 2 ** 53 - 1 })],
    ['a part of a part', () => ({ memory: { memory: new Uint8Array(CHUNK_BYTES) } })],
    [
      'a region whose buffer was transferred',
      (engine) => {
        const buffer = new ArrayBuffer(CHUNK_BYTES);
        const region = engine.register(buffer);
        structuredClone(buffer, { transfer: [buffer] });
        return { memory: region };
      },
    ],
    [
      'a region that was released',
      (engine) => {
        const region = engine.register(new Uint8Array(CHUNK_BYTES));
        region.release();
        return { memory: region };
      },
    ],
  ];

  it.each(unusable)('is refused: %s', async (_, memory) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const given = memory(engine) as ChunkMemory;
    expect(await thrown(() => engine.store(prompt, [given]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
    expect(await thrown(() => engine.retrieve(prompt, [given]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
    expect(outcomesOf(await engine.store(prompt, [bytes]))).toEqual(['stored']);
  });

  it.each<[string, () => unknown]>([
    ['a detached buffer', detached],
    ['a view of one', () => viewOfDetached((buffer) => new Uint8Array(buffer))],
    ['a resizable buffer', () => resizable().buffer],
    ['an empty buffer', () => new ArrayBuffer(0)],
    ['a number', () => 4096],
    ['an array', () => [1, 2, 3]],
    ['nothing', () => undefined],
  ])('is not registered: %s', async (_, memory) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    expect(await thrown(() => engine.register(memory() as Uint8Array))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });

  it('is another engine’s slot or region: its number means other memory here', async () => {
    const one = await openEngine({ base: temporaryDirectory() });
    const other = await openEngine({ base: temporaryDirectory() });
    const [slot] = await other.lease(1);
    if (!slot) return expect.fail('a slot');
    const region = other.register(new Uint8Array(CHUNK_BYTES));
    one.register(new Uint8Array(CHUNK_BYTES));
    for (const memory of [slot, { memory: slot }, { memory: region }, [{ memory: region }]]) {
      expect(await thrown(() => one.store(prompt, [memory]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
      expect(await thrown(() => one.retrieve(prompt, [memory]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
    }
  });

  it('is a slot that was given back', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    slot.release();
    for (const memory of [slot, { memory: slot }]) {
      expect(await thrown(() => engine.store(prompt, [memory]))).toMatchObject({ code: 'KVO_SLOT_RELEASED' });
    }
  });

  it('leaves the slots beside it free: a refused call uses none', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const slots = await engine.lease(1);
    const bad = new Uint8Array(1);
    expect(await thrown(() => engine.store(tokens(2 * CHUNK), [...slots, bad]))).toMatchObject({
      code: 'KVO_SHAPE_MISMATCH',
    });
    for (const slot of slots) slot.release();
    expect(engine.stats().slots.available).toBe(engine.stats().slots.total);
  });
});

describe('the engine’s own memory', () => {
  it('cannot be transferred away by anyone', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    slot.bytes.set(bytes);
    const { buffer } = slot.bytes as Uint8Array<ArrayBuffer>;
    expect(buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(() => structuredClone(slot.bytes, { transfer: [buffer] })).toThrow();
    expect(slot.bytes.byteLength).toBe(CHUNK_BYTES);
    expect(outcomesOf(await engine.store(prompt, [slot]))).toEqual(['stored']);
  });

  it('starts each slot at a multiple of 4096, a chunk from the next', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const slots = await engine.lease(engine.stats().slots.total);
    expect(slots).toHaveLength(16);
    expect(new Set(slots.map((slot) => slot.offset % 65536))).toEqual(new Set([0]));
    expect(new Set(slots.map((slot) => slot.offset)).size).toBe(16);
    for (const [i, slot] of slots.entries()) slot.bytes.fill(i);
    expect(slots.every((slot, i) => slot.bytes.every((byte) => byte === i))).toBe(true);
  });
});

/** KiB of this process's memory that a child of fork does not get. */
function keptFromChildren(): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const kept = mappings.filter((mapping) => /^VmFlags:.* dc( |$)/m.test(mapping));
  return kept.reduce((sum, mapping) => sum + Number(/^Size: +([0-9]+) kB/m.exec(mapping)?.[1]), 0);
}

describe('the registered buffer', () => {
  onHost('is not made copy-on-write when a child is started, and is memory like any other once closed', async () => {
    const bufferKiB = 64 * 1024;
    const before = keptFromChildren();
    const engine = await openEngine({ base: temporaryDirectory(), settings: { cufile_buffer_size: 64 } });
    // V8 keeps some memory from children too, now more, now less.
    expect(keptFromChildren() - before).toBeGreaterThan(0.9 * bufferKiB);
    await engine.close();
    expect(keptFromChildren() - before).toBeLessThan(0.1 * bufferKiB);
  });
});
