/** Ending early: abort before and during, close with work in flight, use after close. */
import { getEventListeners } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KVCacheEngine } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, MODEL, configOf, modelOfKiB, openEngine, payloads, targets } from '../support/engine.js';
import { TRANSPORT } from '../support/device-memory.js';
import { control } from '../support/gpu.js';
import { dataFiles, filesBelow, leftovers, temporaryDirectory } from '../support/directories.js';
import { codesOf, outcomesOf, rejection, thrown } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { descriptorsBelow, threadCount, until } from '../support/process.js';

const COUNT = 12;
const prompt = tokens(COUNT * CHUNK);
/** One thread that takes its time for each write, so that most of a batch has not begun. */
const slowWrites = { extra: { gds_io_threads: 1 }, faults: 'pwritev:delay=20' };
const slowReads = { extra: { gds_io_threads: 1 }, faults: 'preadv:delay=20' };

describe('a signal that has fired', () => {
  it('keeps every call from beginning', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(CHUNK), payloads(1));
    const signal = AbortSignal.abort(new Error('enough'));
    const stored = await engine.store(prompt, payloads(COUNT), { signal });
    expect(new Set(outcomesOf(stored))).toEqual(new Set(['dropped']));
    expect(stored.chunks[0]?.error).toMatchObject({
      code: 'KVO_ABORTED',
      retriable: true,
      cause: { message: 'enough' },
    });
    const read = await engine.retrieve(prompt, targets(COUNT), { signal });
    expect(read.tokens).toBe(0);
    expect([new Set(outcomesOf(read)), new Set(codesOf(read))]).toEqual([
      new Set(['failed']),
      new Set(['KVO_ABORTED']),
    ]);
    expect(await rejection(engine.lookup(prompt, { signal }))).toMatchObject({ code: 'KVO_ABORTED' });
    expect(await rejection(engine.lease(1, { signal }))).toMatchObject({ code: 'KVO_ABORTED' });
    expect(dataFiles(base)).toHaveLength(1);
    expect(engine.stats().io).toMatchObject({ stores: 1, loads: 0 });
  });
});

describe('a signal that fires meanwhile', () => {
  it('drops the stores that have not begun, and lets the others end', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, ...slowWrites });
    const controller = new AbortController();
    const storing = engine.store(prompt, payloads(COUNT), { signal: controller.signal });
    await until(() => dataFiles(base).length >= 2);
    controller.abort();
    const result = await storing;
    const outcomes = outcomesOf(result);
    const stored = outcomes.filter((outcome) => outcome === 'stored').length;
    expect(stored).toBeGreaterThanOrEqual(2);
    expect(stored).toBeLessThan(COUNT);
    expect(outcomes).toEqual(outcomes.map((_, i) => (i < stored ? 'stored' : 'dropped')));
    expect(new Set(codesOf(result))).toEqual(new Set([undefined, 'KVO_ABORTED']));
    expect(dataFiles(base)).toHaveLength(stored);
    expect(leftovers(base)).toEqual([]);
    expect(engine.stats()).toMatchObject({ stored, dropped: COUNT - stored });
  });

  it('ends a large store between two slices, and removes what was written', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({
      base,
      model: modelOfKiB(8 * 1024),
      settings: { cufile_buffer_size: 8 },
      own: { slice_mib: 1, checksums: false },
      ...slowWrites,
    });
    if (TRANSPORT === 'gds') control('write:delay=20');
    const controller = new AbortController();
    const bytes = 8 * 2 ** 20;
    const storing = engine.store(tokens(CHUNK), [new Uint8Array(bytes)], { signal: controller.signal });
    await until(() => leftovers(base).some((file) => statSync(join(base, file)).size > 2 ** 20));
    controller.abort();
    expect(codesOf(await storing)).toEqual(['KVO_ABORTED']);
    expect(filesBelow(base)).toEqual([]);
    expect(descriptorsBelow(base)).toEqual([]);
  });

  it('settles a retrieve only when its memory is free', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(prompt, payloads(COUNT));
    const engine = await openEngine({ base, ...slowReads });
    const controller = new AbortController();
    const read = targets(COUNT);
    const retrieving = engine.retrieve(prompt, read, { signal: controller.signal });
    await until(() => (engine.stats().io['filesOpened'] ?? 0) >= 3);
    controller.abort();
    const result = await retrieving;
    for (const bytes of read) bytes.fill(0xaa);
    const hits = outcomesOf(result).filter((outcome) => outcome === 'hit').length;
    expect(hits).toBeGreaterThanOrEqual(1);
    expect(hits).toBeLessThan(COUNT);
    expect(result.tokens).toBe(hits * CHUNK);
    await engine.close();
    expect(read.every((bytes) => bytes.every((byte) => byte === 0xaa))).toBe(true);
  });

  it('gives the slots of a dropped call back at once', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), ...slowWrites });
    const controller = new AbortController();
    const slots = await engine.lease(COUNT);
    const storing = engine.store(prompt, slots, { signal: controller.signal });
    for (const slot of slots) slot.release();
    controller.abort();
    await storing;
    expect(engine.stats().slots.available).toBe(engine.stats().slots.total);
  });

  it('rejects a lookup', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(prompt, payloads(COUNT));
    const engine = await openEngine({ base, extra: { gds_io_threads: 1 }, faults: 'stat:delay=20' });
    const controller = new AbortController();
    const looking = engine.lookup(prompt, { signal: controller.signal });
    controller.abort('later');
    expect(await rejection(looking)).toMatchObject({ code: 'KVO_ABORTED', cause: 'later' });
  });

  it('leaves other calls alone', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, ...slowWrites });
    const controller = new AbortController();
    const first = engine.store(prompt, payloads(COUNT), { signal: controller.signal });
    const second = engine.store(tokens(3 * CHUNK, 7), payloads(3));
    controller.abort();
    expect(outcomesOf(await first)).toContain('dropped');
    expect(outcomesOf(await second)).toEqual(['stored', 'stored', 'stored']);
  });
});

describe('a signal that many calls share', () => {
  it('drops them all, and Node warns of no leak', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const engine = await openEngine({ base: temporaryDirectory(), ...slowWrites });
    const controller = new AbortController();
    const { signal } = controller;
    const slots = await engine.lease(engine.stats().slots.total);
    const stores = Array.from({ length: 15 }, (_, i) => engine.store(tokens(CHUNK, i), payloads(1), { signal }));
    const leases = Array.from({ length: 15 }, () => rejection(engine.lease(1, { signal, timeoutMs: 30_000 })));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort();
    const outcomes = (await Promise.all(stores)).map((result) => codesOf(result)[0]);
    expect(outcomes.filter((code) => code === 'KVO_ABORTED').length).toBeGreaterThan(10);
    expect(new Set((await Promise.all(leases)).map((error) => error.code))).toEqual(new Set(['KVO_ABORTED']));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    for (const slot of slots) slot.release();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('a signal that fires afterwards', () => {
  it('changes nothing, and nothing listens to it any more', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const controller = new AbortController();
    const { signal } = controller;
    await engine.store(prompt, payloads(COUNT), { signal });
    await engine.retrieve(prompt, targets(COUNT), { signal });
    await engine.lookup(prompt, { signal });
    for (const slot of await engine.lease(1, { signal })) slot.release();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    controller.abort();
    expect(await engine.lookup(prompt)).toBe(COUNT * CHUNK);
  });
});

describe('close', () => {
  it('refuses every use afterwards', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(CHUNK), payloads(1));
    const prepared = engine.prepare(tokens(CHUNK));
    const [file = ''] = dataFiles(base);
    await engine.close();
    const calls: Record<string, () => unknown> = {
      lookup: () => engine.lookup(prompt),
      'lookup prepared': () => engine.lookup(prepared),
      store: () => engine.store(prompt, payloads(COUNT)),
      retrieve: () => engine.retrieve(prompt, targets(COUNT)),
      lease: () => engine.lease(1),
      register: () => engine.register(new Uint8Array(8)),
      readChunk: () => engine.readChunk({ path: file }),
      writeChunk: () => engine.writeChunk('m@1@0@1@half', { dtype: 'half', shape: [1] }, new Uint8Array(2)),
      listChunks: () => engine.listChunks().next(),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect([name, (await thrown(call)).code]).toEqual([name, 'KVO_CLOSED']);
    }
    expect(engine.stats().stored).toBe(1);
    expect(dataFiles(base)).toEqual([file]);
  });

  it('may be called again, and at the same time: one answer', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const [first, second] = await Promise.all([engine.close(), engine.close()]);
    expect(first).toEqual({ stuck: [] });
    expect(second).toBe(first);
    expect(await engine.close()).toBe(first);
  });

  it('is what `await using` ends with', async () => {
    const engine = await KVCacheEngine.open(await configOf({ base: temporaryDirectory() }), MODEL);
    {
      await using scoped = engine;
      expect(await scoped.lookup(prompt)).toBe(0);
    }
    expect(await rejection(engine.lookup(prompt))).toMatchObject({ code: 'KVO_CLOSED' });
  });

  it('settles all that is under way: what has begun ends, the rest is dropped', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(tokens(COUNT * CHUNK, 5), payloads(COUNT));
    const engine = await openEngine({ base, extra: { gds_io_threads: 2 }, faults: 'pwritev:delay=20;preadv:delay=20' });
    const storing = engine.store(prompt, payloads(COUNT));
    const retrieving = engine.retrieve(tokens(COUNT * CHUNK, 5), targets(COUNT));
    const looking = engine.lookup(prompt).catch((error: unknown) => error);
    await until(() => dataFiles(base).length > COUNT);
    expect(await engine.close()).toEqual({ stuck: [] });

    const stored = await storing;
    const present = outcomesOf(stored).filter((outcome) => outcome === 'stored').length;
    expect(outcomesOf(stored).filter((outcome) => outcome === 'dropped')).toHaveLength(COUNT - present);
    expect(new Set(codesOf(stored))).toEqual(new Set([undefined, 'KVO_CLOSED']));
    expect(dataFiles(base)).toHaveLength(COUNT + present);
    expect(leftovers(base)).toEqual([]);
    expect(new Set([undefined, 'KVO_CLOSED'])).toContain(codesOf(await retrieving).at(-1));
    expect([0, CHUNK, expect.objectContaining({ code: 'KVO_CLOSED' }) as unknown]).toContainEqual(await looking);
    expect(descriptorsBelow(base)).toEqual([]);
  });

  it('ends the waits for slots', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    await engine.lease(engine.stats().slots.total);
    const waiting = rejection(engine.lease(1, { timeoutMs: 60_000 }));
    await engine.close();
    expect(await waiting).toMatchObject({ code: 'KVO_CLOSED' });
  });

  it('leaves no thread and no descriptor behind', async () => {
    const base = temporaryDirectory();
    const before = threadCount();
    const engine = await openEngine({ base, extra: { gds_io_threads: 8 } });
    await engine.store(prompt, payloads(COUNT));
    await engine.retrieve(prompt, targets(COUNT));
    expect(descriptorsBelow(base).length).toBeGreaterThan(0);
    expect(threadCount()).toBeGreaterThanOrEqual(before + 8);
    await engine.close();
    expect(descriptorsBelow(base)).toEqual([]);
    await until(() => threadCount() <= before);
  });

  it('lets memory be released afterwards, and a slot be read', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const region = engine.register(new Uint8Array(CHUNK_BYTES));
    const [slot] = await engine.lease(1);
    await engine.close();
    expect(region.release()).toBe(true);
    expect(slot?.bytes.byteLength).toBe(CHUNK_BYTES);
    slot?.release();
  });
});

describe('an open that fails', () => {
  it('leaves no thread behind', async () => {
    const base = join(temporaryDirectory(), 'missing', '\0');
    const before = threadCount();
    const config = { ...(await configOf({ base: temporaryDirectory() })), paths: [base] };
    expect(await rejection(KVCacheEngine.open(config, MODEL))).toMatchObject({ code: 'KVO_PATH_UNUSABLE' });
    await until(() => threadCount() <= before);
  });
});

describe('many engines', () => {
  it('on one directory work side by side', async () => {
    const base = temporaryDirectory();
    const engines = await Promise.all(Array.from({ length: 10 }, () => openEngine({ base })));
    const results = await Promise.all(engines.map((engine) => engine.store(prompt, payloads(COUNT))));
    const stored = results.flatMap((result) => outcomesOf(result)).filter((outcome) => outcome === 'stored');
    expect(stored).toHaveLength(COUNT);
    expect(results.every((result) => result.present === COUNT)).toBe(true);
    await Promise.all(engines.map((engine) => engine.close()));
    expect(leftovers(base)).toEqual([]);
  });
});
