/** From GPU memory into files and back, byte by byte: every transport, chunks of any size, and many of them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { wholeOf } from '../support/engine.js';
import { outcomesOf } from '../support/outcomes.js';
import { sameBytes, tokens } from '../support/payload.js';
import { type GpuSetup, fill, onGpu, openGpuEngine, poison, wrong } from './gpu.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const HEADER_BYTES = 4096;

const TRANSPORTS = ['staged', 'gds', 'auto'] as const;
const SIZES = [1, 511, 4095, 4096, 4097, 64 * KIB + 1, MIB, MIB + 1, 4 * MIB + 4097, 64 * MIB];

const eachWay = TRANSPORTS.flatMap((transport) => SIZES.map((bytes) => ({ transport, bytes })));

/** How bytes are said to move there. */
function vias(engine: KVCacheEngine) {
  const [route] = engine.transport.routes;
  const direct = engine.transport.io[0]?.mode === 'direct';
  const via = (way: 'gds' | 'staged' | undefined) => (way === 'staged' && direct ? 'staged-direct' : way);
  return { reads: via(route?.reads), writes: via(route?.writes) };
}

/** Stores a prompt from slots, looks at its files, and retrieves it into the same slots. */
async function thereAndBack(setup: GpuSetup, count: number): Promise<KVCacheEngine> {
  const engine = await openGpuEngine(setup);
  const prompt = engine.prepare(tokens(count));
  const slots = await engine.lease(count);
  const sources = fill(slots);

  const stored = await engine.store(prompt, slots);
  expect(stored.chunks.find((chunk) => chunk.error)?.error).toBeUndefined();
  expect(new Set(outcomesOf(stored))).toEqual(new Set(['stored']));
  expect(new Set(stored.chunks.map((chunk) => chunk.via))).toEqual(new Set([vias(engine).writes]));
  const files = wholeOf(prompt).paths(0);
  const payloadOf = (file: string) => readFileSync(file).subarray(HEADER_BYTES);
  expect(files.findIndex((file, i) => !sameBytes(payloadOf(file), sources[i] ?? Buffer.alloc(0)))).toBe(-1);

  poison(slots);
  const retrieved = await engine.retrieve(prompt, slots);
  expect(retrieved.chunks.find((chunk) => chunk.error)?.error).toBeUndefined();
  expect(retrieved.tokens).toBe(count);
  expect(new Set(retrieved.chunks.map((chunk) => chunk.via))).toEqual(new Set([vias(engine).reads]));
  expect(retrieved.chunks.every((chunk) => chunk.verified)).toBe(engine.config.checksums);
  expect(wrong(slots, sources)).toEqual([]);
  return engine;
}

onGpu('chunks of one size', () => {
  it.each(eachWay)('$bytes bytes, transport $transport', async ({ transport, bytes }) => {
    const own = { transport, checksums: true };
    const engine = await thereAndBack({ base: temporaryDirectory(), bytes, chunks: 3, own }, 3);
    if (transport !== 'auto') expect(engine.transport.kind).toBe(transport);
  });

  it.each([1, 4097, 4 * MIB + 1])('%i bytes, with O_DIRECT where the filesystem takes it', async (bytes) => {
    const setup = { own: { transport: 'staged', checksums: true }, extra: { use_direct_io: true } };
    await thereAndBack({ base: temporaryDirectory(), bytes, chunks: 3, ...setup }, 3);
  });
});

onGpu('many chunks', () => {
  it.each([
    { transport: 'staged', count: 4096, bytes: 1 },
    { transport: 'staged', count: 2000, bytes: 4097 },
    { transport: 'staged', count: 300, bytes: 256 * KIB },
    { transport: 'staged', count: 40, bytes: 10 * MIB },
    { transport: 'gds', count: 500, bytes: 4097 },
    { transport: 'gds', count: 40, bytes: 10 * MIB },
  ])('$count of $bytes bytes, transport $transport', async ({ transport, count, bytes }) => {
    const own = { transport, checksums: true };
    await thereAndBack({ base: temporaryDirectory(), bytes, chunks: count, own }, count);
  });

  it('without sums, which are then not compared', async () => {
    const own = { transport: 'staged', checksums: false };
    await thereAndBack({ base: temporaryDirectory(), bytes: MIB, chunks: 64, own }, 64);
  });
});

onGpu('calls at the same time', () => {
  describe.each(['staged', 'gds'])('transport %s', (transport) => {
    it('each bring their own bytes', async () => {
      const calls = 8;
      const each = 8;
      const own = { transport, checksums: true };
      const bytes = MIB + 16;
      const engine = await openGpuEngine({ base: temporaryDirectory(), bytes, chunks: calls * each, own });
      const sets = await Promise.all(Array.from({ length: calls }, () => engine.lease(each)));
      const sources = sets.map((slots, call) => fill(slots, call + 1));
      const prompts = sets.map((_, call) => engine.prepare(tokens(each, call)));
      const move = async (what: 'store' | 'retrieve') => {
        await Promise.all(sets.map((slots, call) => engine[what](prompts[call] ?? [], slots)));
      };
      await move('store');
      sets.forEach(poison);
      // Some are written while others are read.
      await Promise.all([move('retrieve'), engine.store(tokens(each, calls), await fresh(engine, bytes, each))]);
      expect(sets.map((slots, call) => wrong(slots, sources[call] ?? []))).toEqual(sets.map(() => []));
    });
  });
});

/** So many chunks' memory outside of the buffer. */
async function fresh(engine: KVCacheEngine, bytes: number, count: number) {
  const memory = await engine.allocateDevice(bytes * count);
  return Array.from({ length: count }, (_, i) => ({ memory, offset: i * bytes, length: bytes }));
}
