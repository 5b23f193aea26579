/** Thousands of cycles: memory, descriptors, threads and files stay as they were. */
import { describe, expect, it } from 'vitest';
import { childResult } from '../support/child.js';
import { CHUNK, openEngine, payloads } from '../support/engine.js';
import { filesBelow, leftovers, memoryDirectory } from '../support/directories.js';
import { tokens } from '../support/payload.js';

const MIB = 2 ** 20;

interface Measured {
  readonly rss: number;
  readonly threads: number;
  readonly descriptors: number;
}

describe('10,000 cycles of store and retrieve', () => {
  it('leave memory, descriptors and threads flat, and nothing on disk', async () => {
    const base = memoryDirectory();
    const { before, after, ...counted } = await childResult<{ before: Measured; after: Measured }>(
      'soak',
      // Files are closed and opened again all the time.
      { setup: { base, own: { open_files: 16 } }, warmUp: 2_000, cycles: 10_000 },
      // A young generation that stays small, since it is no leak but looks like one.
      { node: ['--expose-gc', '--max-semi-space-size=1'] },
    );
    expect(counted).toEqual({ stored: 24_000, hits: 24_000, corrupt: 0, misses: 0 });
    // A leak of a header a chunk would be 80 MiB.
    expect(after.rss - before.rss).toBeLessThan(24 * MIB);
    expect([after.threads, after.descriptors]).toEqual([before.threads, before.descriptors]);
    expect(filesBelow(base)).toEqual([]);
  });
});

describe('2,000 prompts that are prepared and forgotten', () => {
  it('leave memory flat', async () => {
    const engine = await openEngine({ base: memoryDirectory() });
    const look = async (times: number) => {
      for (let i = 0; i < times; i++) await engine.lookup(engine.prepare(tokens(64 * CHUNK, i)));
    };
    await look(500);
    const before = process.memoryUsage().rss;
    await look(2_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * MIB);
  });
});

describe('1,000 aborted calls', () => {
  it('leave nothing behind', async () => {
    const base = memoryDirectory();
    const engine = await openEngine({ base, extra: { gds_io_threads: 2 } });
    const { total } = engine.stats().slots;
    const prompt = tokens(8 * CHUNK);
    for (let i = 0; i < 1_000; i++) {
      const controller = new AbortController();
      const slots = await engine.lease(8);
      const call =
        i % 2 === 0
          ? engine.store(prompt, slots, { signal: controller.signal })
          : engine.retrieve(prompt, slots, { signal: controller.signal });
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      for (const slot of slots) slot.release();
      await call;
    }
    expect(engine.stats().slots).toEqual({ total, available: total });
    expect(leftovers(base)).toEqual([]);
    expect((await engine.store(prompt, payloads(8))).present).toBe(8);
  });
});
