/** What close() gives back. Needs the GPU for itself, since it looks at what memory is free. */
import { expect, it } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { rejection } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { TOO_MUCH, fill, onGpu, openGpuEngine, poison, wrong } from './gpu.js';

const MIB = 2 ** 20;

/** MiB that the driver calls free, from its refusal of what is too much. */
async function freeMib(engine: KVCacheEngine): Promise<number> {
  const { message } = await rejection(engine.allocateDevice(TOO_MUCH));
  return Number(/(\d+) of \d+ MiB are free/.exec(message)?.[1] ?? expect.fail(message));
}

onGpu('closing', () => {
  it.each(['staged', 'gds'])('gives the memory back, ten times, transport %s', async (transport) => {
    const base = temporaryDirectory();
    const watching = await openGpuEngine({ base, bytes: 4096, chunks: 1 });
    const size = 4 * MIB;
    const block = 4096;
    // Held, so that nothing is given back by being collected.
    const closed: KVCacheEngine[] = [];
    const once = async (seed: number) => {
      const own = { transport, checksums: true };
      const engine = await openGpuEngine({ base, bytes: size, chunks: 64, own });
      closed.push(engine);
      const slots = await engine.lease(2);
      const sources = fill(slots, seed);
      expect((await engine.store(tokens(2, seed), slots)).present).toBe(2);
      // Blocks so small that they are staged on the device too.
      const memory = await engine.allocateDevice(2 * size);
      const pages = slots.map((_, chunk) => {
        const place = (i: number) => BigInt((2 * i + chunk) * block);
        return {
          memory,
          offsets: BigUint64Array.from({ length: size / block }, (_block, i) => place(i)),
          length: block,
        };
      });
      expect((await engine.retrieve(tokens(2, seed), pages)).tokens).toBe(2);
      poison(slots);
      expect((await engine.retrieve(tokens(2, seed), slots)).tokens).toBe(2);
      expect(wrong(slots, sources)).toEqual([]);
      expect(await engine.close()).toEqual({ stuck: [] });
    };
    // The first one also starts cuFile and loads the kernel, which keep some.
    await once(0);
    const before = await freeMib(watching);
    for (let time = 1; time <= 10; time++) await once(time);
    expect(closed).toHaveLength(11);
    expect(before - (await freeMib(watching))).toBeLessThan(64);
  });
});
