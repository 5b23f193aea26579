/** Calls of CUDA and cuFile that fail, or do less than they were asked for: test/fakes. */
import { describe, expect, it } from 'vitest';
import type { ErrorCode, KVCacheEngine, RetrieveResult, StoreResult } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, modelOfKiB, openEngine } from '../support/engine.js';
import { filesBelow, leftovers, temporaryDirectory } from '../support/directories.js';
import { anotherFake, control, gpuSetup } from '../support/gpu.js';
import { outcomesOf } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const prompt = tokens(CHUNK);
const bytes = payload(1, CHUNK_BYTES);

interface Told {
  readonly base: string;
  readonly store: () => Promise<StoreResult>;
  readonly retrieve: () => Promise<RetrieveResult>;
  readonly engine: KVCacheEngine;
}

async function opened(own: Readonly<Record<string, unknown>>): Promise<Told> {
  const base = temporaryDirectory();
  const engine = await openEngine(gpuSetup(base, { checksums: true, ...own }));
  const [from, into] = await engine.lease(2);
  if (!from || !into) return expect.fail('two slots');
  from.copyFrom(bytes);
  return {
    base,
    engine,
    store: () => engine.store(prompt, [from]),
    retrieve: async () => {
      const result = await engine.retrieve(prompt, [into]);
      if (result.chunks[0]?.outcome === 'hit') {
        const read = new Uint8Array(CHUNK_BYTES);
        into.copyTo(read);
        expect(sameBytes(read, bytes)).toBe(true);
      }
      return result;
    },
  };
}

const CODES = [5001, 5008, 5011, 5018, 5022, 5027, 5030, 5036, 5999];

describe('a code of cuFile’s', () => {
  it.each(CODES)('fails a store and a retrieve by number: %i', async (code) => {
    const { base, store, retrieve } = await opened({ transport: 'gds' });
    control(`write:${code}`);
    const stored = await store();
    expect(stored.chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_GDS' } });
    expect(stored.chunks[0]?.error?.message).toMatch(new RegExp(`cuFileWrite failed with .+ \\(${code}\\); .+`));
    expect(filesBelow(base)).toEqual([]);
    control('');
    expect(outcomesOf(await store())).toEqual(['stored']);
    control(`read:${code}`);
    const read = await retrieve();
    expect(read.chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_GDS' } });
    expect(read.chunks[0]?.error?.message).toContain(`(${code})`);
    control('');
    expect(outcomesOf(await retrieve())).toEqual(['hit']);
  });
});

describe('an errno of cuFile’s', () => {
  it.each<[string, ErrorCode]>([
    ['ENOSPC', 'KVO_NO_SPACE'],
    ['EDQUOT', 'KVO_NO_SPACE'],
    ['EIO', 'KVO_IO'],
    ['EACCES', 'KVO_PERMISSION'],
    ['EROFS', 'KVO_READ_ONLY'],
  ])('means what it does of a system call: %s', async (errno, code) => {
    const { base, store, retrieve } = await opened({ transport: 'gds' });
    control(`write:${errno}`);
    const stored = await store();
    expect(stored.chunks[0]).toMatchObject({ outcome: 'failed', error: { code } });
    expect(stored.chunks[0]?.error?.message).toContain(`cuFileWrite failed with ${errno}`);
    expect(filesBelow(base)).toEqual([]);
    control('');
    await store();
    control(`read:${errno}`);
    expect((await retrieve()).chunks[0]).toMatchObject({ outcome: 'failed', error: { code } });
  });
});

describe('a short count', () => {
  it.each(['write:short=1000;read:short=700', 'write:short=1;read:short=2047', 'write:delay=5;read:delay=5'])(
    'is continued: %s',
    async (faults) => {
      const { store, retrieve } = await opened({ transport: 'gds' });
      control(faults);
      expect(outcomesOf(await store())).toEqual(['stored']);
      const read = await retrieve();
      expect(read.chunks).toMatchObject([{ outcome: 'hit', verified: true, via: 'gds' }]);
    },
  );

  it('of nothing is an error to write, and a file cut short to read', async () => {
    const { base, store, retrieve } = await opened({ transport: 'gds' });
    control('write:short=100@1x1;write:short=0@2');
    expect((await store()).chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_IO' } });
    expect(filesBelow(base)).toEqual([]);
    control('');
    await store();
    control('read:short=100@1x1;read:eof@2');
    expect((await retrieve()).chunks[0]).toMatchObject({ outcome: 'corrupt' });
  });
});

describe('a failure of CUDA’s', () => {
  it.each([
    ['copies to the device', 'toDeviceAsync:1', 'retrieve'],
    ['copies from the device', 'toHostAsync:1', 'store'],
    ['recording an event', 'recordEvent:1', 'store'],
    ['asking for it', 'queryEvent:1', 'retrieve'],
  ] as const)('fails the chunk, with its number: %s', async (_, faults, call) => {
    const told = await opened({ transport: 'staged' });
    if (call === 'retrieve') await told.store();
    control(faults);
    const { chunks } = await told[call]();
    expect(chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_CUDA' } });
    expect(chunks[0]?.error?.message).toContain('CUDA error 1');
    expect(leftovers(told.base)).toEqual([]);
    control('');
    expect(outcomesOf(await told[call]())).toEqual([call === 'store' ? 'stored' : 'hit']);
  });

  it.each([
    ['a batch copy', 'copyBatch:1', 128 * 1024],
    ['a kernel', 'launchKernel:1', 2048],
  ])('fails the chunk of %s', async (_, faults, block) => {
    const size = 1024 * 1024;
    const setup = { model: modelOfKiB(1024), settings: { cufile_buffer_size: 2 } };
    const engine = await openEngine(gpuSetup(temporaryDirectory(), { transport: 'staged' }, setup));
    const region = await engine.allocateDevice(2 * size);
    const offsets = BigUint64Array.from({ length: size / block }, (_, i) => BigInt(i * 2 * block));
    const memory = { memory: region, offsets, length: block };
    control(faults);
    expect((await engine.store(prompt, [memory])).chunks[0]).toMatchObject({
      outcome: 'failed',
      error: { code: 'KVO_CUDA' },
    });
    control('');
    expect(outcomesOf(await engine.store(prompt, [memory]))).toEqual(['stored']);
    control(faults);
    expect((await engine.retrieve(prompt, [memory])).chunks[0]).toMatchObject({
      outcome: 'failed',
      error: { code: 'KVO_CUDA' },
    });
  });

  it('for good fails what follows too, and the engine closes', async () => {
    const told = await opened({ transport: 'staged', libcuda_path: anotherFake('cuda') });
    control('streamCopy:700@1x1');
    expect((await told.store()).chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_CUDA' } });
    control('');
    const again = await told.store();
    expect(again.chunks[0]?.error?.message).toContain('CUDA error 700');
    expect(await told.engine.close()).toEqual({ stuck: [] });
    expect(filesBelow(told.base)).toEqual([]);
  });

  it('that keeps cuFile’s small blocks from being gathered fails the chunk', async () => {
    const told = await opened({ transport: 'gds' });
    const region = await told.engine.allocateDevice(2 * CHUNK_BYTES);
    const offsets = BigUint64Array.of(0n, 1500n);
    control('launchKernel:1');
    const stored = await told.engine.store(prompt, [{ memory: region, offsets, length: CHUNK_BYTES / 2 }]);
    expect(stored.chunks[0]).toMatchObject({ outcome: 'failed', error: { code: 'KVO_CUDA' } });
  });
});
