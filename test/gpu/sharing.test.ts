/** GPU memory of another process, by CUDA's IPC handles: another of ours, and torch's tensors as vLLM holds them. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { KVCacheEngine, Slot } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { rejection } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';
import { TORCH_PYTHON, onGpu, onHardware, openGpuEngine, setupOf } from './gpu.js';
import { LinePeer } from './line-peer.js';

const MIB = 2 ** 20;
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function open(bytes: number, own: Readonly<Record<string, unknown>> = {}): Promise<KVCacheEngine> {
  return openGpuEngine({ base: temporaryDirectory(), bytes, chunks: 2, own: { checksums: true, ...own } });
}

/** What a slot holds. */
function held(slot: Slot): Buffer {
  const bytes = Buffer.alloc(slot.byteLength);
  slot.copyTo(bytes);
  return bytes;
}

async function oneSlot(engine: KVCacheEngine): Promise<Slot> {
  const [slot] = await engine.lease(1);
  return slot ?? expect.fail('no slot');
}

onGpu('memory of another of our processes', () => {
  it.each(['staged', 'gds'])('is read and written in its place, transport %s', async (transport) => {
    const bytes = MIB + 5;
    const offset = 4099;
    const setup = setupOf({ base: temporaryDirectory(), bytes: 4096, chunks: 1 });
    const lender = new LinePeer(process.execPath, [
      here('children/lender.mjs'),
      JSON.stringify({ setup, bytes: 3 * MIB }),
    ]);
    const handle = Buffer.from(await lender.next(), 'hex');
    expect(handle.byteLength).toBe(64);

    const engine = await open(bytes, { transport });
    const memory = await engine.openDeviceMemory({ handle, offset, byteLength: bytes });
    const slot = await oneSlot(engine);
    expect((await engine.store(tokens(1), [memory])).present).toBe(1);
    expect((await engine.retrieve(tokens(1), [slot])).tokens).toBe(1);
    expect(held(slot).equals(Buffer.alloc(bytes, 1))).toBe(true);

    const other = payload(5, bytes);
    slot.copyFrom(other);
    expect((await engine.store(tokens(1, 1), [slot])).present).toBe(1);
    expect((await engine.retrieve(tokens(1, 1), [memory])).tokens).toBe(1);
    const whole = Buffer.alloc(3 * MIB, 1);
    whole.set(other, offset);
    expect(await lender.ask('sha256')).toBe(sha256(whole));
    expect(memory.release()).toBe(true);
    expect(await lender.ask('sha256')).toBe(sha256(whole));
  });

  it('is refused past its end', async () => {
    const setup = setupOf({ base: temporaryDirectory(), bytes: 4096, chunks: 1 });
    const lender = new LinePeer(process.execPath, [here('children/lender.mjs'), JSON.stringify({ setup, bytes: MIB })]);
    const handle = Buffer.from(await lender.next(), 'hex');
    const engine = await open(4096);
    for (const [offset, byteLength] of [
      [0, 64 * MIB],
      [64 * MIB, 1],
    ] as const) {
      const error = await rejection(engine.openDeviceMemory({ handle, offset, byteLength }));
      expect(error.code).toBe('KVO_MEMORY_INVALID');
    }
    await engine.openDeviceMemory({ handle, byteLength: MIB });
  });
});

onGpu('a handle', () => {
  const refused = async (handle: Uint8Array) =>
    rejection((await open(4096)).openDeviceMemory({ handle, byteLength: 1 }));

  it('of an expandable segment is refused by name', async () => {
    const { code, message } = await refused(Buffer.concat([Buffer.from([2]), Buffer.from('e'), Buffer.alloc(64)]));
    expect([code, message]).toEqual(['KVO_MEMORY_INVALID', expect.stringContaining('expandable_segments:True')]);
  });

  it.each([0, 63, 65])('of %i bytes is refused', async (length) => {
    expect(await refused(Buffer.alloc(length))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });

  it('that nobody exported is refused by the driver', async () => {
    const { code, message } = await refused(Buffer.alloc(64, 0x5a));
    expect([code, message]).toEqual(['KVO_MEMORY_INVALID', expect.stringContaining('cuIpcOpenMemHandle')]);
  });

  it('of this process’s own memory is refused by the driver', async () => {
    const engine = await open(4096);
    const handle = (await engine.allocateDevice(MIB)).ipcHandle();
    expect(await rejection(engine.openDeviceMemory({ handle, byteLength: MIB }))).toMatchObject({
      code: 'KVO_MEMORY_INVALID',
    });
  });
});

interface Made {
  readonly handle: string;
  readonly offset: number;
  readonly sha256: string;
}

class Torch {
  readonly #peer: LinePeer;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#peer = new LinePeer(TORCH_PYTHON ?? '', [here('torch_peer.py')], env);
  }

  async ask(request: object): Promise<unknown> {
    const { answer, error } = JSON.parse(await this.#peer.ask(JSON.stringify(request))) as {
      answer?: unknown;
      error?: string;
    };
    if (error !== undefined) throw new Error(`torch: ${error}`);
    return answer;
  }

  async make(name: string, bytes: number, seed: number): Promise<Made> {
    return (await this.ask({ op: 'make', name, bytes, seed })) as Made;
  }
}

if (TORCH_PYTHON === undefined) console.warn('SKIPPED: tensors of torch; npm run test:gpu names a Python that has it');

onHardware('a tensor of torch', () => {
  describe.skipIf(TORCH_PYTHON === undefined)('in another process', () => {
    it.each(['staged', 'gds'])('is stored, and retrieved into, transport %s', async (transport) => {
      const bytes = 3 * MIB + 512;
      const torch = new Torch();
      const first = await torch.make('first', bytes, 1);
      const second = await torch.make('second', bytes, 2);
      expect(first.handle).toHaveLength(2 * 66);

      const engine = await open(bytes, { transport });
      const opened = async ({ handle, offset }: Made) =>
        engine.openDeviceMemory({ handle: Buffer.from(handle, 'hex'), offset, byteLength: bytes });
      // Both lie in one segment of torch's, so that its handle is opened twice.
      const [one, two] = [await opened(first), await opened(second)];
      expect((await engine.store(tokens(1), [one])).present).toBe(1);
      const slot = await oneSlot(engine);
      expect((await engine.retrieve(tokens(1), [slot])).tokens).toBe(1);
      expect(sha256(held(slot))).toBe(first.sha256);

      expect((await engine.retrieve(tokens(1), [two])).tokens).toBe(1);
      expect(await torch.ask({ op: 'sha256', name: 'second' })).toBe(first.sha256);
      expect(await torch.ask({ op: 'sha256', name: 'first' })).toBe(first.sha256);

      // The other opening still serves once one has ended.
      expect(one.release()).toBe(true);
      slot.copyFrom(payload(3, bytes));
      expect((await engine.store(tokens(1, 1), [slot])).present).toBe(1);
      expect((await engine.retrieve(tokens(1, 1), [two])).tokens).toBe(1);
      expect(await torch.ask({ op: 'sha256', name: 'second' })).toBe(sha256(payload(3, bytes)));
      expect(await torch.ask({ op: 'sha256', name: 'first' })).toBe(first.sha256);
      expect(two.release()).toBe(true);
    });

    it.each(['staged', 'gds'])('is stored once an event of its owner’s is done, transport %s', async (transport) => {
      const bytes = 3 * MIB;
      const torch = new Torch();
      const { handle, offset, sha256: before } = await torch.make('late', bytes, 1);
      const engine = await open(bytes, { transport });
      const memory = await engine.openDeviceMemory({ handle: Buffer.from(handle, 'hex'), offset, byteLength: bytes });
      const slot = await oneSlot(engine);
      const late = (await torch.ask({ op: 'later', name: 'late', seed: 2 })) as { event: string; sha256: string };
      expect(late).toMatchObject({ pending: true });
      const after = { eventHandle: Buffer.from(late.event, 'hex') };
      const storing = engine.store(tokens(1), [memory], { after });
      // Without the wait it is what was there.
      expect((await engine.store(tokens(1, 1), [memory])).present).toBe(1);
      expect((await storing).present).toBe(1);
      for (const [seed, expected] of [late.sha256, before].entries()) {
        expect((await engine.retrieve(tokens(1, seed), [slot])).tokens).toBe(1);
        expect(sha256(held(slot))).toBe(expected);
      }
      // Done by now: opened again, it is not waited for.
      for (let seed = 2; seed < 50; seed++) {
        expect((await engine.store(tokens(1, seed), [memory], { after })).present).toBe(1);
      }
    });

    it('may be a paged cache, layer by layer', async () => {
      const layers = 4;
      const block = 32 * 1024;
      const blocks = 64;
      const perChunk = 8;
      const bytes = layers * perChunk * block;
      const torch = new Torch();
      const engine = await open(bytes);
      const made: Made[] = [];
      for (let layer = 0; layer < layers; layer++) made.push(await torch.make(`layer${layer}`, blocks * block, layer));
      const memory = await Promise.all(
        made.map(({ handle, offset }) =>
          engine.openDeviceMemory({ handle: Buffer.from(handle, 'hex'), offset, byteLength: blocks * block }),
        ),
      );
      const at = (places: readonly number[]) =>
        memory.map((region) => {
          return {
            memory: region,
            offsets: BigUint64Array.from(places, (place) => BigInt(place * block)),
            length: block,
          };
        });
      const [from, to] = [
        [3, 60, 17, 2, 41, 8, 33, 20],
        [5, 50, 6, 1, 63, 0, 12, 31],
      ] as const;
      expect((await engine.store(tokens(1), [at(from)], { after: 'device' })).present).toBe(1);
      expect((await engine.retrieve(tokens(1), [at(to)])).tokens).toBe(1);
      for (const [layer, region] of memory.entries()) {
        const tensor = Buffer.alloc(blocks * block);
        region.copyTo(tensor);
        expect(await torch.ask({ op: 'sha256', name: `layer${layer}` })).toBe(sha256(tensor));
        for (const [i, place] of to.entries()) {
          const source = (from[i] ?? 0) * block;
          expect(
            tensor.subarray(place * block, (place + 1) * block).equals(tensor.subarray(source, source + block)),
          ).toBe(true);
        }
      }
    });

    it('is refused by name where its segment is expandable', async () => {
      const setting = 'expandable_segments:True';
      const torch = new Torch({ PYTORCH_CUDA_ALLOC_CONF: setting, PYTORCH_ALLOC_CONF: setting });
      const { handle, offset } = await torch.make('expandable', 3 * MIB, 1);
      const engine = await open(4096);
      const error = await rejection(
        engine.openDeviceMemory({ handle: Buffer.from(handle, 'hex'), offset, byteLength: 3 * MIB }),
      );
      expect([error.code, error.message]).toEqual(['KVO_MEMORY_INVALID', expect.stringContaining(setting)]);
    });
  });
});
