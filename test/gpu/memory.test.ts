/** Whose memory it is: registered, refused, given back, and what a GPU that is full says. */
import { describe, expect, it } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { openEngine } from '../support/engine.js';
import { codesOf, rejection, thrown } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';
import { type GpuSetup, TOO_MUCH, fill, onGpu, openGpuEngine, poison, setupOf, wrong } from './gpu.js';

const MIB = 2 ** 20;
const bytes = 100_000;

function open(more: Partial<GpuSetup> = {}): Promise<KVCacheEngine> {
  return openGpuEngine({ base: temporaryDirectory(), bytes, chunks: 4, ...more });
}

onGpu('memory of the caller’s', () => {
  it.each(['staged', 'gds'])('is registered by its address, at any place, transport %s', async (transport) => {
    const owner = await open();
    const allocation = await owner.allocateDevice(2 * MIB);
    const engine = await open({ own: { transport, checksums: true } });
    const region = await engine.registerDevice(allocation.address + 4099n, bytes);
    expect([region.address, region.byteLength]).toEqual([allocation.address + 4099n, bytes]);
    const source = payload(1, bytes);
    allocation.copyFrom(source, 4099);
    expect((await engine.store(tokens(1), [region])).present).toBe(1);
    allocation.copyFrom(new Uint8Array(bytes), 4099);
    expect((await engine.retrieve(tokens(1), [region])).tokens).toBe(1);
    const back = Buffer.alloc(bytes);
    allocation.copyTo(back, 4099);
    expect(back.equals(source)).toBe(true);
    expect(region.release()).toBe(true);
    const { code } = await rejection(engine.retrieve(tokens(1), [region]));
    expect(code).toBe('KVO_MEMORY_INVALID');
  });

  it.each([1n, 4096n, 2n ** 40n + 7n, 2n ** 63n])('is refused at %i, which is no device address', async (address) => {
    const engine = await open();
    const error = await rejection(engine.registerDevice(address, bytes));
    expect([error.code, error.message]).toEqual([
      'KVO_MEMORY_INVALID',
      expect.stringContaining('cuPointerGetAttribute'),
    ]);
  });

  it('is refused past the end of its allocation', async () => {
    const engine = await open();
    const allocation = await engine.allocateDevice(64 * MIB);
    const { address, byteLength } = allocation;
    for (const [start, length] of [
      [address, byteLength + 64 * MIB],
      [address, byteLength + 1],
      [address + BigInt(byteLength - 1), 2],
    ] as const) {
      const { code, message } = await rejection(engine.registerDevice(start, length));
      expect([code, message]).toEqual(['KVO_MEMORY_INVALID', expect.stringContaining('bytes from there on')]);
    }
    await engine.registerDevice(address + BigInt(byteLength - 1), 1);
  });

  it('is refused once it was freed', async () => {
    const engine = await open();
    const allocation = await engine.allocateDevice(64 * MIB);
    const { address } = allocation;
    expect(allocation.release()).toBe(true);
    expect(await rejection(engine.registerDevice(address, bytes))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });

  it('that another engine registered is none of this one’s', async () => {
    const region = await (await open()).allocateDevice(bytes);
    const engine = await open();
    expect(await rejection(engine.store(tokens(1), [region]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });
});

onGpu('a GPU without room', () => {
  it('refuses a buffer that is too large, and says what to lower', async () => {
    const setup = setupOf({ base: temporaryDirectory(), bytes, chunks: 4 });
    const settings = { ...setup.settings, cufile_buffer_size: TOO_MUCH / MIB };
    const { code, message, retriable } = await rejection(openEngine({ ...setup, settings }));
    expect([code, retriable]).toEqual(['KVO_DEVICE_MEMORY', true]);
    expect(message).toMatch(/cufile_buffer_size.*MiB are free.*--gpu-memory-utilization/);
  });

  it('refuses further memory, and goes on working', async () => {
    const engine = await open();
    const { code, message } = await rejection(engine.allocateDevice(TOO_MUCH));
    expect([code, message]).toEqual(['KVO_DEVICE_MEMORY', expect.stringContaining('--gpu-memory-utilization')]);
    const slots = await engine.lease(4);
    const sources = fill(slots);
    expect((await engine.store(tokens(4), slots)).present).toBe(4);
    poison(slots);
    expect((await engine.retrieve(tokens(4), slots)).tokens).toBe(4);
    expect(wrong(slots, sources)).toEqual([]);
  });
});

onGpu('closing', () => {
  it('refuses what comes later, and waits for what is under way', async () => {
    const engine = await open({ bytes: 4 * MIB, chunks: 16 });
    const slots = await engine.lease(16);
    fill(slots);
    const storing = engine.store(tokens(16), slots);
    const closing = engine.close();
    const stored = await storing;
    for (const code of codesOf(stored)) expect([undefined, 'KVO_CLOSED']).toContain(code);
    expect(await closing).toEqual({ stuck: [] });
    expect(await rejection(engine.allocateDevice(bytes))).toMatchObject({ code: 'KVO_CLOSED' });
    expect(await thrown(() => engine.store(tokens(1), []))).toMatchObject({ code: 'KVO_CLOSED' });
  });
});

onGpu('what a call waits for', () => {
  describe.each(['staged', 'gds'])('transport %s', (transport) => {
    it.each([{ after: 'device' as const }, { after: { stream: 0n } }])('$after', async ({ after }) => {
      const engine = await open({ own: { transport, checksums: true } });
      const slots = await engine.lease(4);
      const sources = fill(slots);
      expect((await engine.store(tokens(4), slots, { after })).present).toBe(4);
      poison(slots);
      expect((await engine.retrieve(tokens(4), slots, { after })).tokens).toBe(4);
      expect(wrong(slots, sources)).toEqual([]);
    });
  });

  it.each([{ event: 0n }, { stream: -1n }, { event: 1n, stream: 1n }, {}])('is refused: %o', async (after) => {
    const engine = await open();
    const slots = await engine.lease(1);
    expect(await rejection(engine.store(tokens(1), slots, { after }))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});
