/** Which way the bytes go, and whether that is told truly: against cuFile's own counters. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { openEngine } from '../support/engine.js';
import { rejection } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { SKIPPED, fill, onGpu, onHardware, openGpuEngine, poison, setupOf, wrong } from './gpu.js';

if (SKIPPED) console.warn('SKIPPED: tests with a GPU; npm run test:gpu runs them where there is one');

const MIB = 2 ** 20;
const COUNT = 8;

function open(own: Readonly<Record<string, unknown>>, base = temporaryDirectory()): Promise<KVCacheEngine> {
  return openGpuEngine({ base, bytes: MIB, chunks: COUNT, own });
}

/** Stores and retrieves, and tells what cuFile has counted meanwhile. */
async function moved(engine: KVCacheEngine) {
  const before = engine.stats().cufile;
  const slots = await engine.lease(COUNT);
  const sources = fill(slots);
  const stored = await engine.store(tokens(COUNT), slots);
  expect(stored.present).toBe(COUNT);
  poison(slots);
  const retrieved = await engine.retrieve(tokens(COUNT), slots);
  expect(wrong(slots, sources)).toEqual([]);
  const after = engine.stats().cufile;
  if (before === undefined || after === undefined) expect.fail('cuFile does not count');
  return {
    vias: [stored.chunks[0]?.via, retrieved.chunks[0]?.via],
    bytes: [after.bytesRead - before.bytesRead, after.bytesWritten - before.bytesWritten],
    reads: after.reads - before.reads,
    readsDirect: after.readsDirect - before.readsDirect,
    readsPosix: after.readsPosix - before.readsPosix,
    writes: after.writes - before.writes,
    writesDirect: after.writesDirect - before.writesDirect,
    writesPosix: after.writesPosix - before.writesPosix,
  };
}

onGpu('the GPU', () => {
  it('is described', async () => {
    const { device, cufile, buffer } = (await open({ transport: 'gds' })).transport;
    expect(device).toMatchObject({ index: 0, name: expect.stringMatching(/./) as string });
    expect(device?.memoryBytes).toBeGreaterThan(2 ** 32);
    expect(device?.driver).toMatch(/^1[2-9]\.\d$/);
    expect(cufile).toMatchObject({ version: expect.stringMatching(/^1\.\d+$/) as string, countsPaths: true });
    expect(buffer).toEqual({ registered: 'whole' });
  });

  it('gives slots that begin at multiples of 64 KiB, and have no bytes here', async () => {
    const slots = await (await open({})).lease(COUNT);
    for (const slot of slots) expect((slot.address ?? 1n) % 65536n).toBe(0n);
    expect(() => slots[0]?.bytes).toThrow(expect.objectContaining({ code: 'KVO_MEMORY_INVALID' }));
  });
});

onGpu('what is told', () => {
  it('of gds agrees with what cuFile counted', async () => {
    const engine = await open({ transport: 'gds' });
    const { vias, bytes, reads, readsDirect, readsPosix, writes, writesDirect, writesPosix } = await moved(engine);
    expect(vias).toEqual(['gds', 'gds']);
    expect(bytes).toEqual([COUNT * MIB, COUNT * MIB]);
    expect(reads).toBeGreaterThanOrEqual(COUNT);
    expect(writes).toBeGreaterThanOrEqual(COUNT);
    expect([readsDirect + readsPosix, writesDirect + writesPosix]).toEqual([reads, writes]);
    const { reason } = engine.transport;
    expect(reason).toContain(readsPosix > 0 ? 'a trial read went through POSIX' : 'a trial read went direct');
    expect(reason).toContain(writesPosix > 0 ? 'a trial write went through POSIX' : 'a trial write went direct');
    const { io } = engine.stats();
    expect(io).toMatchObject({ loadBytesGds: COUNT * MIB, storeBytesGds: COUNT * MIB, gdsRefused: 0 });
    expect(io).toMatchObject({ loadBytesStaged: 0, storeBytesStaged: 0, failures: 0 });
  });

  it('of auto follows those counts: staged, and why, where cuFile is in compat mode', async () => {
    const { readsPosix, writesPosix } = await moved(await open({ transport: 'gds' }));
    const engine = await open({ transport: 'auto' });
    const [reads, writes] = [readsPosix > 0 ? 'staged' : 'gds', writesPosix > 0 ? 'staged' : 'gds'];
    expect(engine.transport.routes).toMatchObject([{ reads, writes }]);
    expect(engine.transport.kind).toBe(reads);
    if (readsPosix > 0) expect(engine.transport.reason).toContain('inside cuFile (compat mode)');
    console.info(`transport auto: ${engine.transport.kind}: ${engine.transport.reason}`);
    const slots = await engine.lease(COUNT);
    fill(slots);
    const stored = await engine.store(tokens(COUNT), slots);
    const retrieved = await engine.retrieve(tokens(COUNT), slots);
    const used = (chunks: readonly { via: string }[]) => [...new Set(chunks.map((chunk) => chunk.via.slice(0, 6)))];
    expect([used(retrieved.chunks), used(stored.chunks)]).toEqual([[reads], [writes]]);
  });

  it('of staged: cuFile is not even opened', async () => {
    const setup = setupOf({ base: temporaryDirectory(), bytes: MIB, chunks: COUNT });
    for (const engine of [
      await open({ transport: 'staged' }),
      await openEngine({ ...setup, settings: { ...setup.settings, use_gds: false } }),
    ]) {
      expect(engine.transport.kind).toBe('staged');
      expect(engine.transport.cufile).toBeUndefined();
      expect(engine.stats().cufile).toBeUndefined();
    }
  });

  it('where cuFile is required: it opens only where both ways went direct', async () => {
    const { readsPosix, writesPosix } = await moved(await open({ transport: 'gds' }));
    const opening = open({ require_gds: true });
    if (readsPosix + writesPosix === 0) expect((await opening).transport.kind).toBe('gds');
    else expect(await rejection(opening)).toMatchObject({ code: 'KVO_TRANSPORT_UNAVAILABLE' });
  });
});

onHardware('tmpfs', () => {
  it.skipIf(!existsSync('/dev/shm'))('is none that cuFile moves directly', async () => {
    const engine = await open({ transport: 'auto' }, temporaryDirectory('/dev/shm'));
    console.info(`transport auto on tmpfs: ${engine.transport.kind}: ${engine.transport.reason}`);
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toMatch(/cuFileHandleRegister|POSIX|O_DIRECT/);
    const slots = await engine.lease(COUNT);
    const sources = fill(slots);
    expect((await engine.store(tokens(COUNT), slots)).present).toBe(COUNT);
    poison(slots);
    expect((await engine.retrieve(tokens(COUNT), slots)).tokens).toBe(COUNT);
    expect(wrong(slots, sources)).toEqual([]);
  });
});
