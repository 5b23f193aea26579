/** Memory of a GPU: the buffer, the caller's own, another process's. The GPU is the fake of test/fakes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ChunkMemory, KVCacheEngine } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, modelOfKiB, openEngine, payloads } from '../support/engine.js';
import { dataFiles, temporaryDirectory } from '../support/directories.js';
import { control, counted, deviceFile, fakeGpu, fakeSettings, gpuSetup, held } from '../support/gpu.js';
import { gpuPeer } from '../support/gpu-peer.js';
import { outcomesOf, rejection, thrown } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

fakeSettings({ KVO_FAKE_DEVICES: '3' });

const prompt = tokens(CHUNK);
const bytes = payload(1, CHUNK_BYTES);
const open = (own: Readonly<Record<string, unknown>> = {}) => openEngine(gpuSetup(temporaryDirectory(), own));
const TRANSPORTS = ['staged', 'gds'] as const;

describe('the buffer', () => {
  it('lies in the memory of the GPU, and its slots have addresses there', async () => {
    const engine = await open();
    const [one, two] = await engine.lease(2);
    if (!one || !two) return expect.fail('two slots');
    expect((two.address ?? 0n) - (one.address ?? 0n)).toBe(65536n);
    one.copyFrom(bytes);
    expect(sameBytes(readFileSync(deviceFile(one.address ?? 0n)).subarray(0, CHUNK_BYTES), bytes)).toBe(true);
    expect(() => one.bytes).toThrow('GPU memory');
    expect(() => one.copyFrom(new Uint8Array(CHUNK_BYTES + 1))).toThrow('do not fit');
    one.release();
    expect(() => one.address).toThrow('given back');
    expect(() => {
      one.copyTo(new Uint8Array(1));
    }).toThrow('given back');
  });

  it('that the GPU has no memory for is refused, with what would help', async () => {
    control('allocate:above=32');
    const setup = gpuSetup(temporaryDirectory(), {}, { settings: { cufile_buffer_size: 64 } });
    const error = await rejection(openEngine(setup));
    expect(error).toMatchObject({ code: 'KVO_DEVICE_MEMORY', retriable: true });
    expect(error.message).toMatch(/64 MiB \(cufile_buffer_size\).*MiB are free.*--gpu-memory-utilization/);
    expect(held()).toMatchObject({ deviceBlocks: 0, streams: 0 });
  });

  it('of host memory that cannot be pinned fails its chunks', async () => {
    const engine = await open({ transport: 'gds' });
    control('allocateHost:2');
    const staged = openEngine(gpuSetup(temporaryDirectory(), { transport: 'staged' }));
    const stored = await (await staged).store(prompt, await (await staged).lease(1));
    expect(stored.chunks[0]?.error).toMatchObject({ code: 'KVO_DEVICE_MEMORY' });
    expect(stored.chunks[0]?.error?.message).toContain('cuMemHostAlloc');
    expect(outcomesOf(await engine.store(prompt, await engine.lease(1)))).toEqual(['stored']);
  });
});

describe('registration with cuFile', () => {
  const MIB = 2 ** 20;
  it.each<[string, string, { registered: string; refused?: RegExp }, number, boolean]>([
    ['whole', '', { registered: 'whole' }, 1, true],
    [
      'in pieces where it is too large',
      'registerBuffer:above=16',
      { registered: 'pieces', refused: /\(5036\)/ },
      4,
      true,
    ],
    [
      'in pieces where its range is refused',
      'registerBuffer:above=16=5022',
      { registered: 'pieces', refused: /\(5022\)/ },
      4,
      true,
    ],
    [
      'not, where pieces are refused too',
      'registerBuffer:above=1',
      { registered: 'not', refused: /\(5036\)/ },
      0,
      false,
    ],
    ['not, where CUDA fails', 'registerBuffer:5011=2', { registered: 'not', refused: /CUDA error 2/ }, 0, false],
  ])('is %s, and bytes are right', async (_, faults, expected, buffers, registered) => {
    const before = counted('cufile')['buffers'] ?? 0;
    control(faults);
    // Slots of 5 MiB lie across pieces of 16.
    const setup = gpuSetup(
      temporaryDirectory(),
      { transport: 'gds' },
      { model: modelOfKiB(5 * 1024), settings: { cufile_buffer_size: 64 } },
    );
    const engine = await openEngine(setup);
    const buffer = engine.transport.buffer;
    expect(buffer?.registered).toBe(expected.registered);
    if (expected.refused) expect(buffer?.refused).toMatch(expected.refused);
    else expect(buffer?.refused).toBeUndefined();
    expect((counted('cufile')['buffers'] ?? 0) - before).toBe(buffers);
    const unregistered = counted('cufile')['unregistered'] ?? 0;
    const slots = await engine.lease(12);
    const sources = payloads(6, 0, 5 * MIB);
    for (const [i, source] of sources.entries()) slots[i]?.copyFrom(source);
    const many = tokens(6 * CHUNK);
    expect(new Set(outcomesOf(await engine.store(many, slots.slice(0, 6))))).toEqual(new Set(['stored']));
    expect(new Set(outcomesOf(await engine.retrieve(many, slots.slice(6))))).toEqual(new Set(['hit']));
    for (const [i, source] of sources.entries()) {
      const into = new Uint8Array(5 * MIB);
      slots[6 + i]?.copyTo(into);
      expect(sameBytes(into, source)).toBe(true);
    }
    expect((counted('cufile')['unregistered'] ?? 0) > unregistered).toBe(!registered);
    control('');
    await engine.close();
    expect(counted('cufile')['buffers']).toBe(before);
  });
});

describe.each(TRANSPORTS)('memory of the caller’s own, %s', (transport) => {
  it('is stored from and retrieved into', async () => {
    const engine = await open({ transport });
    const theirs = await engine.allocateDevice(8192);
    const region = await engine.registerDevice(theirs.address + 512n, 4096);
    region.copyFrom(bytes, 100);
    const part = (offset: number): ChunkMemory => ({ memory: region, offset, length: CHUNK_BYTES });
    expect(outcomesOf(await engine.store(prompt, [part(100)]))).toEqual(['stored']);
    expect(outcomesOf(await engine.retrieve(prompt, [part(2048)]))).toEqual(['hit']);
    const into = new Uint8Array(CHUNK_BYTES);
    theirs.copyTo(into, 512 + 2048);
    expect(sameBytes(into, bytes)).toBe(true);
    expect([region.release(), theirs.release()]).toEqual([true, true]);
  });

  it('is not released while a call uses it', async () => {
    const engine = await open({ transport });
    const region = await engine.allocateDevice(CHUNK_BYTES);
    control('streamCopy:delay=50;write:delay=50');
    const storing = engine.store(prompt, [region]);
    expect(region.release()).toBe(false);
    expect(outcomesOf(await storing)).toEqual(['stored']);
    expect(region.release()).toBe(true);
    expect(region.release()).toBe(true);
    expect(await thrown(() => engine.store(prompt, [region]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
    expect(() => {
      region.copyTo(new Uint8Array(1));
    }).toThrow('released');
  });
});

describe('memory that is refused', () => {
  const refused = async (call: (engine: KVCacheEngine) => Promise<unknown>) => {
    const engine = await open();
    return rejection(call(engine));
  };

  it.each<[string, (engine: KVCacheEngine) => Promise<unknown>]>([
    ['an address of nothing', (engine) => engine.registerDevice(4096n, 100)],
    ['address 0', (engine) => engine.registerDevice(0n, 100)],
    ['a number for an address', (engine) => engine.registerDevice(4096 as unknown as bigint, 100)],
    ['no length', (engine) => engine.registerDevice(4096n, 0)],
    ['a length beyond 2^64', (engine) => engine.registerDevice(2n ** 64n - 1n, 100)],
    [
      'past the end of an allocation',
      async (engine) => engine.registerDevice((await engine.allocateDevice(1000)).address + 1n, 1000),
    ],
    [
      'of another device',
      async (engine) => {
        const other = await open({ device: 'cuda:1' });
        return engine.registerDevice((await other.allocateDevice(1000)).address, 1000);
      },
    ],
    [
      'freed',
      async (engine) => {
        const region = await engine.allocateDevice(1000);
        region.release();
        return engine.registerDevice(region.address, 1000);
      },
    ],
    ['a handle of another length', (engine) => engine.openDeviceMemory({ handle: new Uint8Array(65), byteLength: 1 })],
    ['a handle of nobody’s', (engine) => engine.openDeviceMemory({ handle: new Uint8Array(64), byteLength: 1 })],
  ])('%s', async (_, call) => {
    expect(await refused(call)).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });

  it('is more than the GPU has', async () => {
    const error = await refused((engine) => engine.allocateDevice(200 * 2 ** 30));
    expect(error).toMatchObject({ code: 'KVO_DEVICE_MEMORY' });
  });

  it('needs an engine on a GPU', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), own: { device: 'cpu' } });
    expect(await thrown(() => engine.allocateDevice(1))).toMatchObject({ code: 'KVO_UNSUPPORTED' });
  });

  it('is partly on the host', async () => {
    const engine = await open();
    const region = await engine.allocateDevice(1024);
    const mixed = [[region, new Uint8Array(1024)]];
    expect(await thrown(() => engine.store(prompt, mixed))).toMatchObject({
      code: 'KVO_MEMORY_INVALID',
      message: expect.stringContaining('partly on the host') as string,
    });
  });

  it('may be host memory alone: a chunk’s all on one side', async () => {
    const engine = await open();
    const [slot] = await engine.lease(1);
    if (!slot) return expect.fail('a slot');
    const two = tokens(2 * CHUNK);
    const stored = await engine.store(two, [slot, bytes]);
    expect(stored.chunks.map((chunk) => chunk.via)).toEqual(['gds', 'buffered']);
  });

  it('is a region of another engine, or outside its region', async () => {
    const [one, other] = [await open(), await open()];
    const region = await other.allocateDevice(CHUNK_BYTES);
    const own = await one.allocateDevice(CHUNK_BYTES);
    const blocks = (offsets: bigint[], length: number): ChunkMemory => ({
      memory: own,
      offsets: BigUint64Array.from(offsets),
      length,
    });
    const strange: ChunkMemory[] = [
      region,
      { memory: own, offset: 1, length: CHUNK_BYTES },
      blocks([0n, 1025n], 1024),
      blocks([0n, 2n ** 64n - 1024n], 1024),
    ];
    for (const memory of strange) {
      for (const call of [() => one.store(prompt, [memory]), () => one.retrieve(prompt, [memory])]) {
        expect(await thrown(call)).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
      }
    }
  });
});

describe('memory of another process', () => {
  const torch = (kind: string, handle: Uint8Array) => Buffer.concat([Buffer.from([2]), Buffer.from(kind), handle]);

  it.each([
    ['CUDA’s handle', (handle: Buffer) => handle],
    ['torch’s export', (handle: Buffer) => torch('c', handle)],
  ])('is stored from and retrieved into: %s', async (_, spelled) => {
    const imports = counted('cuda')['imports'] ?? 0;
    const other = gpuPeer();
    const { address, handle } = await other.allocate(65536);
    writeFileSync(
      deviceFile(address, other.pid),
      Buffer.concat([Buffer.alloc(1000), bytes, Buffer.alloc(65536 - 1000 - CHUNK_BYTES)]),
      { flag: 'r+' },
    );
    const engine = await open();
    const region = await engine.openDeviceMemory({ handle: spelled(handle), offset: 1000, byteLength: 30_000 });
    expect(region.byteLength).toBe(30_000);
    const part = (offset: number) => ({ memory: region, offset, length: CHUNK_BYTES });
    expect(outcomesOf(await engine.store(prompt, [part(0)]))).toEqual(['stored']);
    expect(outcomesOf(await engine.retrieve(prompt, [part(20_000)]))).toEqual(['hit']);
    const theirs = readFileSync(deviceFile(address, other.pid));
    expect(sameBytes(theirs.subarray(21_000, 21_000 + CHUNK_BYTES), bytes)).toBe(true);
    await engine.close();
    expect(counted('cuda')['imports']).toBe(imports);
  });

  it('is refused where the handle is of an expandable segment, by name', async () => {
    const engine = await open();
    const handle = torch('e', Buffer.alloc(64));
    expect(await thrown(() => engine.openDeviceMemory({ handle, byteLength: 1 }))).toMatchObject({
      code: 'KVO_MEMORY_INVALID',
      message: expect.stringContaining('expandable_segments:True') as string,
    });
  });

  it('is refused outside its allocation, and once it is freed', async () => {
    const other = gpuPeer();
    const { address, handle } = await other.allocate(65536);
    const engine = await open();
    for (const [offset, byteLength] of [
      [1, 65536],
      [70_000, 1],
      [0, 65537],
    ] as const) {
      expect(await rejection(engine.openDeviceMemory({ handle, offset, byteLength }))).toMatchObject({
        code: 'KVO_MEMORY_INVALID',
      });
    }
    await other.free(address);
    expect(await rejection(engine.openDeviceMemory({ handle, byteLength: 1 }))).toMatchObject({
      code: 'KVO_MEMORY_INVALID',
    });
  });

  it('is ours where we export it: 64 bytes', async () => {
    const engine = await open();
    const region = await engine.allocateDevice(4096);
    expect(region.ipcHandle()).toHaveLength(64);
  });
});

describe('several GPUs', () => {
  it('have an engine each, which writes to the directory of its number', async () => {
    const base = [temporaryDirectory(), temporaryDirectory()];
    const engines = await Promise.all(
      [0, 1].map((index) => openEngine({ base, own: fakeGpu({ device: `cuda:${index}` }) })),
    );
    for (const [index, engine] of engines.entries()) {
      expect(engine.transport.device).toMatchObject({ index, name: `Fake GPU ${index}` });
      const [slot] = await engine.lease(1);
      if (!slot) return expect.fail('a slot');
      slot.copyFrom(payload(index, CHUNK_BYTES));
      expect(outcomesOf(await engine.store(tokens(CHUNK, index), [slot]))).toEqual(['stored']);
      expect(dataFiles(base[index] ?? '')).toHaveLength(1);
    }
    const [one, two] = engines;
    const [slot] = (await one?.lease(1)) ?? [];
    if (!slot || !two) return expect.fail('a slot');
    expect(outcomesOf((await one?.retrieve(tokens(CHUNK, 1), [slot])) ?? { chunks: [], present: 0 })).toEqual(['hit']);
    const into = new Uint8Array(CHUNK_BYTES);
    slot.copyTo(into);
    expect(sameBytes(into, payload(1, CHUNK_BYTES))).toBe(true);
    expect(await thrown(() => two.store(prompt, [slot]))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });

  it('are refused beyond those that are there', async () => {
    const error = await rejection(open({ device: 'cuda:3' }));
    expect(error).toMatchObject({ code: 'KVO_DEVICE_UNAVAILABLE' });
    expect(error.message).toContain('no device 3 among 3');
  });
});
