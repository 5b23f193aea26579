/** What a store or retrieve waits for on the GPU, and what ends the wait. The GPU is the fake of test/fakes. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { KVCacheEngine, MoveOptions, Slot } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, openEngine } from '../support/engine.js';
import { filesBelow, onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { control, gpuSetup, held } from '../support/gpu.js';
import { gpuPeer } from '../support/gpu-peer.js';
import { codesOf, outcomesOf, thrown } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';
import { until } from '../support/process.js';

const prompt = tokens(CHUNK);
const [early, late] = [payload(1, CHUNK_BYTES), payload(2, CHUNK_BYTES)];
const STREAM = { after: { stream: 0n } } as const;

async function prepared(): Promise<{ engine: KVCacheEngine; slot: Slot; base: string }> {
  const base = temporaryDirectory();
  const engine = await openEngine(gpuSetup(base));
  const [slot] = await engine.lease(1);
  if (!slot) return expect.fail('a slot');
  slot.copyFrom(early);
  return { engine, slot, base };
}

describe('a store that waits for a stream', () => {
  it('sees what was written until the stream got there', async () => {
    const { engine, slot, base } = await prepared();
    control('streamHost:hang');
    const storing = engine.store(prompt, [slot], STREAM);
    slot.copyFrom(late);
    expect(filesBelow(base)).toEqual([]);
    control('');
    expect(outcomesOf(await storing)).toEqual(['stored']);
    expect(sameBytes(readFileSync(onlyDataFile(base)).subarray(4096), late)).toBe(true);
  });

  it('leaves other calls alone: no thread waits', async () => {
    const { engine, slot } = await prepared();
    control('streamHost:hang');
    const waiting = Array.from({ length: 20 }, (_, i) => engine.store(tokens(CHUNK, 10 + i), [slot], STREAM));
    expect(outcomesOf(await engine.store(prompt, [slot]))).toEqual(['stored']);
    control('');
    expect((await Promise.all(waiting)).flatMap((result) => outcomesOf(result))).toEqual(new Array(20).fill('stored'));
  });

  it('is dropped at once by its signal, and its memory is free', async () => {
    const { engine, slot, base } = await prepared();
    control('streamHost:hang');
    const controller = new AbortController();
    const storing = engine.store(prompt, [slot], { ...STREAM, signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort();
    expect([outcomesOf(await storing), codesOf(await storing)]).toEqual([['dropped'], ['KVO_ABORTED']]);
    const { available, total } = engine.stats().slots;
    slot.release();
    expect(engine.stats().slots.available).toBe(total);
    expect(available).toBe(total - 1);
    control('');
    await engine.close();
    expect(filesBelow(base)).toEqual([]);
  });

  it('is dropped by a close, which does not wait for the stream', async () => {
    const { engine, slot, base } = await prepared();
    control('streamHost:hang');
    const storing = engine.store(prompt, [slot], STREAM);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closing = engine.close();
    expect(codesOf(await storing)).toEqual(['KVO_CLOSED']);
    expect(await closing).toEqual({ stuck: [] });
    control('');
    await until(() => held()['streams'] === 0);
    expect(filesBelow(base)).toEqual([]);
  });
});

describe('after', () => {
  it.each<[string, MoveOptions['after']]>([
    ['the device', 'device'],
    ['the default stream', { stream: 0n }],
  ])('may be %s, for a retrieve too', async (_, after) => {
    const { engine, slot } = await prepared();
    const options = after === undefined ? {} : { after };
    expect(outcomesOf(await engine.store(prompt, [slot], options))).toEqual(['stored']);
    slot.copyFrom(late);
    expect(outcomesOf(await engine.retrieve(prompt, [slot], options))).toEqual(['hit']);
    const into = new Uint8Array(CHUNK_BYTES);
    slot.copyTo(into);
    expect(sameBytes(into, early)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['an event of nobody’s', { event: 12_345n }],
    ['a stream of nobody’s', { stream: 12_345n }],
    ['event 0', { event: 0n }],
    ['a number', { stream: 1 }],
    ['both', { event: 1n, stream: 1n }],
    ['neither', {}],
    ['a word', 'stream'],
    ['null', null],
    ['too large', { stream: 2n ** 64n }],
    ['an event handle of nobody’s', { eventHandle: new Uint8Array(64) }],
    ['an event handle of another length', { eventHandle: new Uint8Array(63) }],
    ['an event handle as text', { eventHandle: '00'.repeat(64) }],
    ['an event and an event handle', { event: 1n, eventHandle: new Uint8Array(64) }],
  ])('is refused: %s', async (_, after) => {
    const { engine, slot, base } = await prepared();
    const options = { after } as MoveOptions;
    for (const call of [() => engine.store(prompt, [slot], options), () => engine.retrieve(prompt, [slot], options)]) {
      expect(await thrown(call)).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
    }
    expect(filesBelow(base)).toEqual([]);
    expect(outcomesOf(await engine.store(prompt, [slot]))).toEqual(['stored']);
  });

  it('is refused without a GPU', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), own: { device: 'cpu' } });
    expect(await thrown(() => engine.store(prompt, [early], STREAM))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});

describe('a store that waits for an event of another process', () => {
  const DEVICE_BYTES = 65_536;

  async function lent(lagMs: number) {
    const base = temporaryDirectory();
    const other = gpuPeer({ KVO_FAKE_LAG_US: String(lagMs * 1000) });
    const { address, handle } = await other.allocate(DEVICE_BYTES);
    const engine = await openEngine(gpuSetup(base));
    const memory = await engine.openDeviceMemory({ handle, byteLength: DEVICE_BYTES });
    return { base, other, address, engine, part: { memory, offset: 0, length: CHUNK_BYTES } };
  }

  it('sees what was written until the event', async () => {
    const { base, other, address, engine, part } = await lent(300);
    const eventHandle = await other.later(address);
    const storing = engine.store(prompt, [part], { after: { eventHandle } });
    // Reused at once, as a caller may.
    eventHandle.fill(0);
    expect(filesBelow(base)).toEqual([]);
    expect(outcomesOf(await storing)).toEqual(['stored']);
    expect(sameBytes(readFileSync(onlyDataFile(base)).subarray(4096), new Uint8Array(CHUNK_BYTES).fill(7))).toBe(true);
  });

  it('begins at once where the event is done, and keeps none open', async () => {
    const { other, address, engine, part } = await lent(0);
    const eventHandle = await other.later(address);
    const store = async (first: number) => {
      const stored = await engine.store(tokens(CHUNK, first), [part], { after: { eventHandle } });
      expect(outcomesOf(stored)).toEqual(['stored']);
      return held()['events'];
    };
    const events = await store(1);
    for (let first = 2; first < 20; first++) expect(await store(first)).toBe(events);
  });

  it('is refused where its process is gone', async () => {
    const { base, other, address, engine, part } = await lent(0);
    const eventHandle = await other.later(address);
    process.kill(Number(other.pid));
    await until(() => !existsSync(`/proc/${other.pid}/fd`));
    const error = await thrown(() => engine.store(prompt, [part], { after: { eventHandle } }));
    expect(error).toMatchObject({
      code: 'KVO_ARGUMENT_INVALID',
      message: expect.stringContaining('cuIpcOpenEventHandle') as string,
    });
    expect(filesBelow(base)).toEqual([]);
  });
});

describe('a retrieve', () => {
  it('is settled when the bytes are there, however late the device copies', async () => {
    const { engine, slot } = await prepared();
    const staged = await openEngine(gpuSetup(temporaryDirectory(), { transport: 'staged' }));
    await engine.close();
    const [own] = await staged.lease(1);
    if (!own) return expect.fail(`a slot beside ${slot.offset}`);
    own.copyFrom(early);
    await staged.store(prompt, [own]);
    own.copyFrom(late);
    control('streamCopy:delay=100');
    await staged.retrieve(prompt, [own]);
    control('');
    const into = new Uint8Array(CHUNK_BYTES);
    own.copyTo(into);
    expect(sameBytes(into, early)).toBe(true);
  });
});
