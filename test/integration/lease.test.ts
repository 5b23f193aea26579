/** Slots of the registered buffer: leased, awaited, given back. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { CHUNK, openEngine, payloads, releaseAll } from '../support/engine.js';
import { onHost } from '../support/device-memory.js';
import { temporaryDirectory } from '../support/directories.js';
import { outcomesOf, rejection } from '../support/outcomes.js';
import { sameBytes, tokens } from '../support/payload.js';

/** 1 MiB of slots of 64 KiB. */
const TOTAL = 16;
const open = () => openEngine({ base: temporaryDirectory() });
const LONG = { timeoutMs: 30_000 };
/** Lets everything that can settle do so. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a lease', () => {
  it('is given at once while there are slots', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    expect(slots).toHaveLength(TOTAL);
    expect(engine.stats().slots).toEqual({ total: TOTAL, available: 0 });
    releaseAll(slots);
    expect(engine.stats().slots.available).toBe(TOTAL);
    expect(await engine.lease(0)).toEqual([]);
  });

  it('waits for all of its slots, and never holds some of them', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL - 1);
    const waiting = engine.lease(2, LONG);
    await turn();
    expect(engine.stats().slots.available).toBe(1);
    slots[0]?.release();
    expect(await waiting).toHaveLength(2);
    expect(engine.stats().slots.available).toBe(0);
  });

  it('is served in the order of asking: small ones do not overtake a large one', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    const order: string[] = [];
    const wait = async (name: string, count: number) => {
      const leased = await engine.lease(count, LONG);
      order.push(name);
      return leased;
    };
    const large = wait('large', TOTAL);
    const small = wait('small', 1);
    for (const slot of slots) {
      expect(order).toEqual([]);
      slot.release();
      await turn();
    }
    const held = await large;
    // Nor does a newcomer.
    const newcomer = wait('newcomer', 1);
    held[0]?.release();
    await turn();
    expect(order).toEqual(['large', 'small']);
    held[1]?.release();
    await newcomer;
    expect(order).toEqual(['large', 'small', 'newcomer']);
    releaseAll([...held, ...(await small), ...(await newcomer)]);
    expect(engine.stats().slots.available).toBe(TOTAL);
  });

  it('is not held up by one that gave up before it', async () => {
    const engine = await open();
    await engine.lease(TOTAL - 1);
    const controller = new AbortController();
    const large = rejection(engine.lease(2, { ...LONG, signal: controller.signal }));
    const small = engine.lease(1, LONG);
    controller.abort();
    expect(await large).toMatchObject({ code: 'KVO_ABORTED' });
    expect(await small).toHaveLength(1);
  });

  it('waits a second unless told otherwise: max_alloc_attempts × allocation_attempt_delay_secs', async () => {
    const engine = await openEngine({
      base: temporaryDirectory(),
      extra: { max_alloc_attempts: 3, allocation_attempt_delay_secs: 0.01 },
    });
    await engine.lease(TOTAL);
    const error = await rejection(engine.lease(1));
    expect(error).toMatchObject({ code: 'KVO_BUSY', retriable: true });
    expect(error.message).toContain('within 30 ms');
  });

  it('may wait for as long as it takes', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    const patient = [Infinity, 2 ** 40, 2 ** 31].map((timeoutMs) => engine.lease(1, { timeoutMs }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    releaseAll(slots);
    expect((await Promise.all(patient)).flat()).toHaveLength(3);
  });
});

describe('a lease that is refused', () => {
  it('has a code: the deadline passed', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    expect(await rejection(engine.lease(1, { timeoutMs: 5 }))).toMatchObject({ code: 'KVO_BUSY' });
    expect(await rejection(engine.lease(1, { timeoutMs: 0 }))).toMatchObject({ code: 'KVO_BUSY' });
    releaseAll(slots);
    expect(engine.stats().slots.available).toBe(TOTAL);
  });

  it('has a code: its signal fired', async () => {
    const engine = await open();
    await engine.lease(TOTAL);
    const controller = new AbortController();
    const waiting = rejection(engine.lease(1, { ...LONG, signal: controller.signal }));
    controller.abort('reason');
    expect(await waiting).toMatchObject({ code: 'KVO_ABORTED', cause: 'reason' });
  });

  it.each([-1, 0.5, NaN, Infinity, TOTAL + 1, '1', null])('has a code: %s slots', async (count) => {
    expect(await rejection((await open()).lease(count as number))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });

  it.each([-1, NaN, '5', {}])('has a code: a deadline of %s', async (timeoutMs) => {
    const options = { timeoutMs: timeoutMs as number };
    expect(await rejection((await open()).lease(1, options))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });

  it('loses no slot that is given back in the same breath', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    const controller = new AbortController();
    const waiting = rejection(engine.lease(TOTAL, { ...LONG, signal: controller.signal }));
    await turn();
    controller.abort();
    releaseAll(slots);
    expect(await waiting).toMatchObject({ code: 'KVO_ABORTED' });
    expect(engine.stats().slots.available).toBe(TOTAL);
  });

  it('loses no slot that was given to it before its signal fired', async () => {
    const engine = await open();
    const slots = await engine.lease(TOTAL);
    const controller = new AbortController();
    const waiting = engine.lease(TOTAL, { ...LONG, signal: controller.signal });
    await turn();
    releaseAll(slots);
    controller.abort();
    expect(await waiting).toHaveLength(TOTAL);
  });
});

describe('a slot', () => {
  it('may be given back twice: it is free once', async () => {
    const engine = await open();
    const [first] = await engine.lease(1);
    first?.release();
    const again = await engine.lease(TOTAL);
    first?.release();
    first?.[Symbol.dispose]();
    expect(engine.stats().slots.available).toBe(0);
    expect(again.every((slot) => slot.bytes.byteLength > 0)).toBe(true);
  });

  it('cannot be read any more', async () => {
    const engine = await open();
    const [slot] = await engine.lease(1);
    slot?.release();
    expect(() => slot?.bytes).toThrow(expect.objectContaining({ code: 'KVO_SLOT_RELEASED' }) as Error);
  });

  it('is given back by `using`, an error included', async () => {
    const engine = await open();
    const failing = async () => {
      using slot = (await engine.lease(1))[0];
      expect(slot?.bytes.byteLength).toBeGreaterThan(0);
      throw new Error('thrown inside');
    };
    await expect(failing()).rejects.toThrow('thrown inside');
    expect(engine.stats().slots.available).toBe(TOTAL);
  });

  it('given back while a call uses it is free when that call settles', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), faults: 'pwritev:delay=20' });
    const slots = await engine.lease(2);
    for (const [i, slot] of slots.entries()) slot.bytes.set(payloads(2)[i] ?? []);
    const storing = engine.store(tokens(2 * CHUNK), slots);
    releaseAll(slots);
    expect(engine.stats().slots.available).toBe(TOTAL - 2);
    // Whoever leases now gets others: these are still read from.
    const others = await engine.lease(TOTAL - 2);
    for (const slot of others) slot.bytes.fill(0xff);
    expect(outcomesOf(await storing)).toEqual(['stored', 'stored']);
    expect(engine.stats().slots.available).toBe(2);
    const read = await engine.lease(2);
    await engine.retrieve(tokens(2 * CHUNK), read);
    expect(read.every((slot, i) => sameBytes(slot.bytes, payloads(2)[i] ?? new Uint8Array()))).toBe(true);
  });

  it('used by two calls is free when both have settled', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), faults: 'pwritev:delay=20' });
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    const calls = [1, 2].map((seed) => engine.store(tokens(CHUNK, seed), [slot]));
    slot.release();
    await Promise.race(calls);
    await Promise.all(calls);
    expect(engine.stats().slots.available).toBe(TOTAL);
  });
});

describe('a buffer', () => {
  it('smaller than a chunk is refused when the engine opens', async () => {
    const opening = openEngine({ base: temporaryDirectory(), model: { kvShape: [4, 2, CHUNK, 64, 128] } });
    expect(await rejection(opening)).toMatchObject({ code: 'KVO_CONFIG_INVALID_VALUE' });
  });

  // On a GPU: gpu-memory.test.ts.
  onHost('larger than the process can have is refused', async () => {
    vi.stubGlobal('SharedArrayBuffer', function allocationFails() {
      throw new RangeError('Array buffer allocation failed');
    });
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    const error = await rejection(openEngine({ base: temporaryDirectory(), settings: { cufile_buffer_size: 4096 } }));
    expect(error).toMatchObject({ code: 'KVO_CONFIG_INVALID_VALUE', cause: expect.any(RangeError) as RangeError });
    expect(error.message).toContain('cufile_buffer_size is 4096 MiB');
  });
});
