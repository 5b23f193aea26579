/** Batches of more chunks than go through the engine in one piece. */
import { rmSync, truncateSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { CHUNK, MODEL, openEngine, targets, wholeOf } from '../support/engine.js';
import { payload, tokens } from '../support/payload.js';

const COUNT = 1100;
const BYTES = 512;
const model = { ...MODEL, kvShape: [1, 2, CHUNK, 1, 8] as const };

describe('a prompt of 1,100 chunks', () => {
  it('is stored and retrieved, each chunk with its own outcome', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, model, settings: { cufile_buffer_size: 128 } });
    const prompt = engine.prepare(tokens(COUNT * CHUNK));
    const memory = new Uint8Array(new SharedArrayBuffer(COUNT * BYTES));
    const region = engine.register(memory);
    const parts = Array.from({ length: COUNT }, (_, i) => ({ memory: region, offset: i * BYTES, length: BYTES }));
    const source = payload(5, COUNT * BYTES);
    memory.set(source);
    expect((await engine.store(prompt, parts)).present).toBe(COUNT);

    const paths = wholeOf(prompt).paths(0);
    rmSync(paths[600] ?? '');
    truncateSync(paths[1090] ?? '', 4096 + 12);
    memory.fill(0);
    const { chunks, tokens: usable } = await engine.retrieve(prompt, parts);
    expect(usable).toBe(600 * CHUNK);
    expect(chunks.map(({ index }) => index)).toEqual([...Array(COUNT).keys()]);
    expect(chunks.flatMap(({ outcome, index }) => (outcome === 'hit' ? [] : [[index, outcome]]))).toEqual([
      [600, 'miss'],
      [1090, 'corrupt'],
    ]);
    for (const { index, outcome, verified } of chunks) {
      if (outcome !== 'hit') continue;
      expect(verified).toBe(true);
      const at = index * BYTES;
      if (Buffer.compare(memory.subarray(at, at + BYTES), source.subarray(at, at + BYTES)) !== 0) {
        expect.fail(`chunk ${index} came back with other bytes`);
      }
    }

    memory.set(source);
    const again = await engine.store(prompt, parts);
    expect(again.chunks.flatMap(({ outcome, index }) => (outcome === 'exists' ? [] : [[index, outcome]]))).toEqual([
      [600, 'stored'],
      [1090, 'stored'],
    ]);
    expect(region.release()).toBe(true);
  });

  it('comes back into buffers of the caller’s, one a chunk', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), model });
    const prompt = engine.prepare(tokens(COUNT * CHUNK));
    const sources = Array.from({ length: COUNT }, (_, i) => payload(i, BYTES));
    expect((await engine.store(prompt, sources)).present).toBe(COUNT);
    const into = targets(COUNT, BYTES);
    expect((await engine.retrieve(prompt, into)).tokens).toBe(prompt.length);
    expect(into.every((bytes, i) => Buffer.compare(bytes, sources[i] ?? bytes.subarray(1)) === 0)).toBe(true);
  });
});
