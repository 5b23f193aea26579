/** What an engine on a GPU holds, and that it is given back. The GPU is the fake of test/fakes. */
import { describe, expect, it } from 'vitest';
import { CHUNK, CHUNK_BYTES, openEngine } from '../support/engine.js';
import { leftovers, temporaryDirectory } from '../support/directories.js';
import { control, counted, gpuSetup, held } from '../support/gpu.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { until } from '../support/process.js';

const prompt = tokens(4 * CHUNK);

describe.each(['staged', 'gds', 'auto'])('close, transport %s', (transport) => {
  it('deregisters and frees all, while the driver of cuFile stays open', async () => {
    const before = held();
    const engine = await openEngine(gpuSetup(temporaryDirectory(), { transport, checksums: true }));
    const region = await engine.allocateDevice(4 * CHUNK_BYTES);
    await engine.registerDevice(region.address, region.byteLength);
    const slots = await engine.lease(4);
    await engine.store(prompt, slots);
    const offsets = BigUint64Array.of(0n, 3000n);
    await engine.retrieve(tokens(CHUNK), [{ memory: region, offsets, length: CHUNK_BYTES / 2 }]);
    await engine.retrieve(prompt, slots, { after: { stream: 0n } });
    expect(held()).not.toEqual(before);
    await engine.close();
    expect(held()).toEqual(before);
    if (transport !== 'staged') expect(counted('cufile')['drivers']).toBe(1);
  });

  it('waits for what is in flight', async () => {
    const before = held();
    const base = temporaryDirectory();
    const engine = await openEngine(gpuSetup(base, { transport }, { extra: { gds_io_threads: 1 } }));
    control('streamCopy:delay=30;write:delay=30');
    const storing = engine.store(prompt, await engine.lease(4));
    await until(() => (engine.stats().io['stores'] ?? 0) > 0);
    expect(await engine.close()).toEqual({ stuck: [] });
    const codes = codesOf(await storing);
    expect(codes.every((code) => code === undefined || code === 'KVO_CLOSED')).toBe(true);
    expect(leftovers(base)).toEqual([]);
    expect(held()).toEqual(before);
  });
});

describe('an open that fails', () => {
  it.each([
    ['its buffer', 'allocate:2'],
    ['a context', 'retainContext:2'],
    ['CUDA itself', 'init:999'],
  ])('for want of %s leaves nothing', async (_, faults) => {
    const before = held();
    control(faults);
    const error = await rejection(openEngine(gpuSetup(temporaryDirectory(), { transport: 'staged' })));
    expect(['KVO_DEVICE_MEMORY', 'KVO_DEVICE_UNAVAILABLE']).toContain(error.code);
    expect(held()).toEqual(before);
  });

  it('for want of a library says so, and falls back to nothing', async () => {
    const own = { libcuda_path: '/nonexistent/libcuda.so' };
    const error = await rejection(openEngine(gpuSetup(temporaryDirectory(), own)));
    expect(error).toMatchObject({ code: 'KVO_DEVICE_UNAVAILABLE' });
    expect(error.message).toContain('/nonexistent/libcuda.so');
  });
});

// Last: what hung is let go of some time later, when its engine is collected.
describe.each(['staged', 'gds', 'auto'])('close with a call that hangs, transport %s', (transport) => {
  it('does not free what a call that hangs may still use, nor wait for it', async () => {
    const base = temporaryDirectory();
    const setup = { settings: { blocking_timeout_secs: 1 }, extra: { gds_io_threads: 2 } };
    const engine = await openEngine(gpuSetup(base, { transport }, setup));
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    const before = held();
    control('streamCopy:hang@1x1;write:hang@1x1');
    const result = await engine.store(tokens(CHUNK), [slot]);
    expect(codesOf(result)).toEqual(['KVO_IO_STUCK']);
    slot.release();
    const { available, total } = engine.stats().slots;
    expect(available).toBe(total - 1);
    const others = await engine.lease(2);
    expect(outcomesOf(await engine.store(tokens(2 * CHUNK, 5), others))).toEqual(['stored', 'stored']);
    expect((await engine.close()).stuck).toHaveLength(1);
    expect(held()['deviceBlocks']).toBeGreaterThanOrEqual(1);
    expect(before['deviceBlocks']).toBeGreaterThanOrEqual(1);
    control('');
    await until(() => held()['underWay'] === 0 && leftovers(base).length === 0);
  });
});
