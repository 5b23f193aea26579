/** A chunk in blocks all over GPU memory, as a paged KV cache has it: gathered and scattered, whatever their size. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkMemory, DeviceRegion, KVCacheEngine } from '../../src/index.js';
import { CHUNK, modelOfKiB, openEngine } from '../support/engine.js';
import { memoryDirectory, onlyDataFile } from '../support/directories.js';
import { anotherFake, control, counted, gpuSetup } from '../support/gpu.js';
import { outcomesOf } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const KIB = 1536;
const CHUNK_BYTES = KIB * 1024;
const REGION_BYTES = 4 * CHUNK_BYTES;
/** More than a slice, so that blocks lie across its ends. */
const open = (own: Readonly<Record<string, unknown>>) => {
  const setup = { model: modelOfKiB(KIB), settings: { cufile_buffer_size: 2 } };
  return openEngine(gpuSetup(memoryDirectory(), { slice_mib: 1, checksums: true, ...own }, setup));
};

/** Blocks of one length with gaps between them, in a mixed order, and what is left of the chunk at the end. */
interface Pages {
  readonly length: number;
  readonly gap: number;
  readonly start: number;
  readonly seed: number;
}

const pages: fc.Arbitrary<Pages> = fc.record({
  length: fc.oneof(
    fc.constantFrom(512, 1024, 2048, 4096, 16384, 32768, 65536, 131072, 262144),
    fc.integer({ min: 512, max: 70_000 }),
  ),
  gap: fc.constantFrom(0, 1, 16, 511, 4096),
  start: fc.constantFrom(0, 1, 7, 8, 16, 4096),
  seed: fc.nat(1000),
});

interface Laid {
  readonly memory: ChunkMemory;
  readonly parts: readonly { readonly offset: number; readonly length: number }[];
}

function lay(region: DeviceRegion, { length, gap, start, seed }: Pages): Laid {
  const count = Math.floor(CHUNK_BYTES / length);
  const stride = Math.min(length + gap, Math.floor((REGION_BYTES - start - length) / (count + 1)));
  // A walk through all places in steps that share no factor with their number.
  const step = [7919, 104_729, 1_299_709].find((prime) => count % prime !== 0) ?? 1;
  const offsets = Array.from({ length: count }, (_, i) => start + ((i * step + seed) % count) * stride);
  const parts = offsets.map((offset) => ({ offset, length }));
  const rest = { offset: start + count * stride, length: CHUNK_BYTES - count * length };
  const blocks = { memory: region, offsets: BigUint64Array.from(offsets, BigInt), length };
  if (rest.length === 0) return { memory: [blocks], parts };
  return { memory: [blocks, { memory: region, ...rest }], parts: [...parts, rest] };
}

const whole = (region: DeviceRegion): Buffer => {
  const bytes = Buffer.alloc(REGION_BYTES);
  region.copyTo(bytes);
  return bytes;
};

/** Stores from one layout, retrieves into another; the file, the blocks and the gaps must be right. */
async function roundTrip(engine: KVCacheEngine, from: Pages, into: Pages, seed: number): Promise<void> {
  const [source, target] = [await engine.allocateDevice(REGION_BYTES), await engine.allocateDevice(REGION_BYTES)];
  const noise = payload(seed, REGION_BYTES);
  source.copyFrom(noise);
  target.copyFrom(payload(seed + 1, REGION_BYTES));
  const prompt = tokens(CHUNK, seed);
  const [one, two] = [lay(source, from), lay(target, into)];
  expect(outcomesOf(await engine.store(prompt, [one.memory]))).toEqual(['stored']);
  const chunk = Buffer.concat(one.parts.map(({ offset, length }) => noise.subarray(offset, offset + length)));
  const path = engine.prepare(prompt).sets[0]?.paths(0)[0] ?? '';
  expect(sameBytes(readFileSync(path).subarray(4096), chunk)).toBe(true);

  const expected = Buffer.from(payload(seed + 1, REGION_BYTES));
  let at = 0;
  for (const { offset, length } of two.parts) at += chunk.copy(expected, offset, at, at + length);
  const read = await engine.retrieve(prompt, [two.memory]);
  expect(read.chunks.map(({ outcome, verified }) => [outcome, verified])).toEqual([['hit', true]]);
  expect(sameBytes(whole(target), expected)).toBe(true);
  expect([source.release(), target.release()]).toEqual([true, true]);
}

describe.each(['staged', 'gds'])('blocks of any size and place, %s', (transport) => {
  it('come back byte for byte, and nothing beside them is touched', { timeout: 60_000 }, async () => {
    const engine = await open({ transport });
    let seed = 0;
    await fc.assert(
      fc.asyncProperty(pages, pages, async (from, into) => {
        await roundTrip(engine, from, into, ++seed);
      }),
      { numRuns: 12 },
    );
  });

  it('go by a kernel where they are small, by copies where they are large', async () => {
    const engine = await open({ transport });
    const pagesOf = (length: number) => ({ length, gap: 16, start: 0, seed: 3 });
    const before = counted('cuda');
    await roundTrip(engine, pagesOf(131_072), pagesOf(65_536), 101);
    const between = counted('cuda');
    await roundTrip(engine, pagesOf(512), pagesOf(1024), 102);
    const after = counted('cuda');
    expect(between['launches']).toBe(before['launches']);
    expect((after['launches'] ?? 0) - (between['launches'] ?? 0)).toBeGreaterThan(0);
  });

  it('go without the kernel where the driver does not load it', async () => {
    control('loadModule:200');
    const engine = await open({ transport });
    const before = counted('cuda')['launches'] ?? 0;
    const small = { length: 2048, gap: 1, start: 1, seed: 5 };
    await roundTrip(engine, small, small, 103);
    expect(counted('cuda')['launches'] ?? 0).toBe(before);
  });
});

describe('a driver without batch copies', () => {
  it('copies one by one', async () => {
    const cuda = anotherFake('cuda');
    control('copyBatch:absent');
    const engine = await open({ transport: 'staged', libcuda_path: cuda });
    expect(engine.transport.device?.batchCopy).toBe(false);
    const large = { length: 65_536, gap: 16, start: 0, seed: 1 };
    await roundTrip(engine, large, large, 104);
  });
});

describe('many small chunks', () => {
  it('are packed: far fewer calls than chunks', async () => {
    const base = memoryDirectory();
    const engine = await openEngine(gpuSetup(base, { transport: 'staged' }, { extra: { gds_io_threads: 1 } }));
    const many = 64;
    const region = await engine.allocateDevice(many * 4096);
    const place = (i: number) => ({ memory: region, offset: i * 4096, length: 2048 });
    const prompt = tokens(many * CHUNK);
    const before = counted('cuda');
    await engine.store(
      prompt,
      Array.from({ length: many }, (_, i) => place(i)),
    );
    const calls = (name: string) => (counted('cuda')[name] ?? 0) - (before[name] ?? 0);
    expect(calls('batchCopies') + calls('copies')).toBe(many);
    expect(calls('batches') + calls('copies')).toBeLessThan(many / 4);
    expect(() => onlyDataFile(base)).toThrow(`${many} data files`);
  });
});
