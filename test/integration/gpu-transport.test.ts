/** Which way a GPU's bytes go, and what is said of it. The GPU and cuFile are the fakes of test/fakes. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, openEngine } from '../support/engine.js';
import { filesBelow, temporaryDirectory } from '../support/directories.js';
import { anotherFake, control, counted, fakeGpu, gpuSetup } from '../support/gpu.js';
import { remount, tinyFilesystem } from '../support/mounts.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const prompt = tokens(2 * CHUNK);

/** Stores and retrieves two chunks by slots; returns how each went. */
async function vias(engine: KVCacheEngine): Promise<string[]> {
  const [from, into] = [await engine.lease(2), await engine.lease(2)];
  for (const [i, slot] of from.entries()) slot.copyFrom(payload(i, CHUNK_BYTES));
  const stored = await engine.store(prompt, from);
  const read = await engine.retrieve(prompt, into);
  expect([...outcomesOf(stored), ...outcomesOf(read)]).toEqual(['stored', 'stored', 'hit', 'hit']);
  for (const [i, slot] of into.entries()) {
    const bytes = new Uint8Array(CHUNK_BYTES);
    slot.copyTo(bytes);
    expect(sameBytes(bytes, payload(i, CHUNK_BYTES))).toBe(true);
  }
  for (const slot of [...from, ...into]) slot.release();
  return [...stored.chunks, ...read.chunks].map((chunk) => chunk.via);
}

const open = (own: Readonly<Record<string, unknown>> = {}, base = temporaryDirectory()) =>
  openEngine(gpuSetup(base, own));

describe('transport auto', () => {
  it('is gds where a trial read and write went direct', async () => {
    const base = temporaryDirectory();
    const engine = await open({}, base);
    expect(engine.transport).toMatchObject({
      kind: 'gds',
      reason: 'a trial read went direct, a trial write went direct',
      routes: [{ path: base, reads: 'gds', writes: 'gds' }],
      cufile: { version: '1.15', countsPaths: true },
      buffer: { registered: 'whole' },
      device: { index: 0, batchCopy: true, driver: '12.8' },
    });
    expect(filesBelow(base)).toEqual([]);
    expect(await vias(engine)).toEqual(['gds', 'gds', 'gds', 'gds']);
    expect(engine.stats().io).toMatchObject({ storeBytesGds: 2 * CHUNK_BYTES, loadBytesGds: 2 * CHUNK_BYTES });
  });

  it('is staged where cuFile goes through POSIX by itself', async () => {
    control('read:posix;write:posix');
    const engine = await open();
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toContain('a trial read went through POSIX inside cuFile (compat mode)');
    const { reads } = counted('cufile');
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
    expect(counted('cufile')['reads']).toBe(reads);
    expect(engine.stats().io).toMatchObject({ storeBytesStaged: 2 * CHUNK_BYTES, loadBytesStaged: 2 * CHUNK_BYTES });
  });

  it('reads by gds and writes staged where only writes go through POSIX', async () => {
    control('write:posix');
    const engine = await open();
    expect(engine.transport).toMatchObject({ kind: 'gds', routes: [{ reads: 'gds', writes: 'staged' }] });
    expect(engine.transport.reason).toContain('a trial write went through POSIX');
    expect(await vias(engine)).toEqual(['staged', 'staged', 'gds', 'gds']);
  });

  it.each([
    ['direct', '', 'gds'],
    ['through POSIX', 'read:posix;write:posix', 'staged'],
  ])('is found by the counters of cuFile 1.20 too, which lie elsewhere: %s', async (_, faults, kind) => {
    control(faults);
    process.env['KVO_FAKE_CUFILE_VERSION'] = '1200';
    onTestFinished(() => {
      delete process.env['KVO_FAKE_CUFILE_VERSION'];
    });
    const engine = await open({ libcufile_path: anotherFake('cufile') });
    expect(engine.transport).toMatchObject({ kind, cufile: { version: '1.20' } });
    expect(engine.transport.reason).toContain(kind === 'gds' ? 'a trial read went direct' : 'went through POSIX');
    expect(new Set(await vias(engine))).toEqual(new Set([kind]));
    if (kind === 'gds') expect(engine.stats().cufile).toMatchObject({ reads: 3, readsDirect: 3, readsPosix: 0 });
  });

  it.each([
    ['no statistics', 'stats:absent'],
    ['statistics that cannot be switched on', 'setStatsLevel:5022'],
  ])('is staged where cuFile does not tell which way bytes went: %s', async (_, faults) => {
    control(faults);
    const engine = await open({ libcufile_path: anotherFake('cufile') });
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toContain('does not count which way bytes take');
    expect(engine.stats().cufile).toBeUndefined();
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
  });

  it.each([
    ['the driver of cuFile cannot be set up', 'openDriver:5033', /cuFileDriverOpen failed: .*\(5033\)/],
    ['no device is seen', 'openDriver:5029', /\(5029\)/],
    ['CUDA fails below it', 'openDriver:5011=2', /CUDA error 2/],
    ['no file can be registered', 'registerHandle:5030', /cuFileHandleRegister: .*\(5030\).*udev/],
    ['a trial write fails', 'write:EIO', /cuFileWrite/],
    ['a trial read fails', 'read:5008', /cuFileRead: .*\(5008\)/],
  ])('is staged, with the reason: %s', async (_, faults, reason) => {
    control(faults);
    const base = temporaryDirectory();
    const engine = await open({ libcufile_path: anotherFake('cufile') }, base);
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toMatch(reason);
    expect(filesBelow(base)).toEqual([]);
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
  });

  it('is staged where its driver does not open in time, and another engine may try again', async () => {
    control('openDriver:hang');
    const libcufile_path = anotherFake('cufile');
    const setup = gpuSetup(temporaryDirectory(), { libcufile_path }, { settings: { blocking_timeout_secs: 0.3 } });
    const engine = await openEngine(setup);
    expect(engine.transport.reason).toContain('cuFileDriverOpen failed: no answer within 300 ms');
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
    const second = await openEngine({ ...setup, base: temporaryDirectory() });
    expect(second.transport.reason).toMatch(/no answer within|an earlier call has not come back/);
    control('');
    const third = await openEngine({ ...gpuSetup(temporaryDirectory(), { libcufile_path }) });
    expect(third.transport.kind).toBe('gds');
  });

  it('is staged where there is no cuFile', async () => {
    const engine = await open({ libcufile_path: '/nonexistent/libcufile.so' });
    expect(engine.transport.reason).toContain('cuFile cannot be used: dlopen failed: /nonexistent/libcufile.so');
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
  });
});

describe('a setting', () => {
  it.each([
    ['use_gds', { settings: { use_gds: false } }, 'use_gds is false'],
    ['kv_offload.transport', { own: fakeGpu({ transport: 'staged' }) }, 'kv_offload.transport is staged'],
  ])('%s keeps cuFile from being opened', async (_, setting, reason) => {
    const cufile = anotherFake('cufile');
    const own = { ...fakeGpu(), ...(setting as { own?: object }).own, libcufile_path: cufile };
    const engine = await openEngine({ base: temporaryDirectory(), ...setting, own });
    expect(engine.transport).toMatchObject({ kind: 'staged', reason });
    expect(engine.transport.cufile).toBeUndefined();
    expect(await vias(engine)).toEqual(['staged', 'staged', 'staged', 'staged']);
  });

  it('transport gds takes cuFile whatever way it goes, and the counts tell', async () => {
    control('read:posix;write:posix');
    const engine = await open({ transport: 'gds' });
    expect(engine.transport).toMatchObject({ kind: 'gds', routes: [{ reads: 'gds', writes: 'gds' }] });
    expect(engine.transport.reason).toContain('went through POSIX inside cuFile');
    const before = engine.stats().cufile;
    expect(await vias(engine)).toEqual(['gds', 'gds', 'gds', 'gds']);
    const after = engine.stats().cufile;
    expect((after?.readsPosix ?? 0) - (before?.readsPosix ?? 0)).toBe(2);
    expect((after?.writesPosix ?? 0) - (before?.writesPosix ?? 0)).toBe(2);
  });

  it('transport gds is staged all the same where cuFile does not work at all', async () => {
    control('registerHandle:5030');
    const engine = await open({ transport: 'gds' });
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toContain('kv_offload.transport is gds, but');
  });
});

describe('require_gds', () => {
  it('opens where both ways go direct', async () => {
    const engine = await open({ require_gds: true });
    expect(engine.transport.kind).toBe('gds');
  });

  it.each([
    ['reads through POSIX', 'read:posix', {}],
    ['writes through POSIX', 'write:posix', {}],
    ['either through POSIX, though transport is gds', 'read:posix', { transport: 'gds' }],
    ['no counts', 'stats:absent', {}],
    ['a driver that does not open', 'openDriver:5033', {}],
    ['files that cannot be registered', 'registerHandle:5030', {}],
    ['transport staged', '', { transport: 'staged' }],
  ])('refuses: %s', async (_, faults, own) => {
    control(faults);
    const error = await rejection(open({ require_gds: true, libcufile_path: anotherFake('cufile'), ...own }));
    expect(error).toMatchObject({ code: 'KVO_TRANSPORT_UNAVAILABLE' });
    expect(error.message).toContain('require_gds is true, but');
  });

  it('refuses use_gds false', async () => {
    const setup = gpuSetup(temporaryDirectory(), { require_gds: true }, { settings: { use_gds: false } });
    expect(await rejection(openEngine(setup))).toMatchObject({ code: 'KVO_TRANSPORT_UNAVAILABLE' });
  });
});

describe('a file that cuFile refuses later', () => {
  it('is staged, and counted', async () => {
    const engine = await open();
    control('registerHandle:5030@1x1');
    const slots = await engine.lease(2);
    const stored = await engine.store(prompt, slots);
    expect(outcomesOf(stored)).toEqual(['stored', 'stored']);
    expect(stored.chunks.map((chunk) => chunk.via).sort()).toEqual(['gds', 'staged-direct']);
    expect(engine.stats().io).toMatchObject({ gdsRefused: 1 });
    control('registerHandle:5019');
    const read = await engine.retrieve(prompt, slots);
    expect(read.chunks.map((chunk) => [chunk.outcome, chunk.via])).toEqual([
      ['hit', 'staged-direct'],
      ['hit', 'staged-direct'],
    ]);
    expect(engine.stats().io).toMatchObject({ gdsRefused: 3 });
  });

  it('fails with require_gds, and leaves nothing', async () => {
    const base = temporaryDirectory();
    const engine = await open({ require_gds: true }, base);
    control('registerHandle:5030');
    const stored = await engine.store(prompt, await engine.lease(2));
    expect(codesOf(stored)).toEqual(['KVO_GDS', 'KVO_GDS']);
    expect(stored.chunks[0]?.error?.message).toMatch(/cuFileHandleRegister failed with .*\(5030\)/);
    expect(filesBelow(base)).toEqual([]);
  });
});

describe('a read-only mount', () => {
  it('is tried with a chunk that is there, and nothing is written', async (context) => {
    const base = tinyFilesystem('size=8m');
    if (base === undefined) return context.skip();
    const writing = await open({}, base);
    await vias(writing);
    await writing.close();
    const files = filesBelow(base);
    remount(base, 'ro');
    const engine = await open({}, base);
    expect(engine.paths[0]?.readOnly).toBe('EROFS');
    expect(engine.transport).toMatchObject({ kind: 'gds', routes: [{ reads: 'gds', writes: 'staged' }] });
    expect(engine.transport.reason).toBe('a trial read went direct, a trial write was not tried');
    const read = await engine.retrieve(prompt, await engine.lease(2));
    expect(read.chunks.map((chunk) => [chunk.outcome, chunk.via])).toEqual([
      ['hit', 'gds'],
      ['hit', 'gds'],
    ]);
    expect(filesBelow(base)).toEqual(files);
  });

  it('without a chunk is staged, since nothing can be tried', async (context) => {
    const base = tinyFilesystem('size=1m');
    if (base === undefined) return context.skip();
    remount(base, 'ro');
    const engine = await open({}, base);
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toContain('there is no chunk to try cuFile on');
  });
});

describe('close', () => {
  async function warningsOf(act: () => Promise<void>): Promise<(string | undefined)[]> {
    const codes: (string | undefined)[] = [];
    const note = (warning: Error & { code?: string }) => codes.push(warning.code);
    process.on('warning', note);
    await act();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    return codes;
  }

  it('warns where bytes went through POSIX after a trial that went direct', async () => {
    const engine = await open();
    const codes = await warningsOf(async () => {
      await vias(engine);
      control('read:posix');
      await engine.retrieve(prompt, await engine.lease(2));
      await engine.close();
    });
    expect(codes).toEqual(['KVO_GDS_POSIX']);
  });

  it('says nothing where all went as it was told', async () => {
    const [auto, gds] = [await open(), await open({ transport: 'gds' })];
    const codes = await warningsOf(async () => {
      await vias(auto);
      await auto.close();
      control('read:posix');
      await gds.retrieve(prompt, await gds.lease(2));
      await gds.close();
    });
    expect(codes).toEqual([]);
  });
});
