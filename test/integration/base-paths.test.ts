/** Several cache directories: one is written to, all are read. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CHUNK, openEngine, payloads, targets } from '../support/engine.js';
import { dataFiles, onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { codesOf, outcomesOf } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';

const directories = (count: number) => Array.from({ length: count }, () => temporaryDirectory());

describe('the directory that is written to', () => {
  it.each([
    [0, 0],
    [1, 1],
    [4, 1],
    [-1, 2],
  ])('of three with device_index %i is number %i', async (device, expected) => {
    const base = directories(3);
    const engine = await openEngine({ base, own: { device_index: device } });
    await engine.store(tokens(2 * CHUNK), payloads(2));
    expect(base.map((directory) => dataFiles(directory).length)).toEqual(
      [0, 1, 2].map((i) => (i === expected ? 2 : 0)),
    );
  });
});

describe('reading', () => {
  it('finds each chunk where it is', async () => {
    const base = directories(3);
    const prompt = tokens(3 * CHUNK);
    for (const device of [0, 1, 2]) {
      const writer = await openEngine({ base, own: { device_index: device } });
      await writer.store(prompt, payloads(3).slice(device, device + 1), { skipTokens: device * CHUNK });
    }
    expect(base.map((directory) => dataFiles(directory).length)).toEqual([1, 1, 1]);
    const reader = await openEngine({ base, own: { device_index: 1 } });
    expect(await reader.lookup(prompt)).toBe(3 * CHUNK);
    const read = targets(3);
    expect((await reader.retrieve(prompt, read)).tokens).toBe(3 * CHUNK);
    expect(read).toEqual(payloads(3));
  });

  it('takes a sound chunk where another directory has a corrupt one', async () => {
    const base = directories(2);
    const prompt = tokens(CHUNK);
    for (const device of [0, 1]) {
      await (await openEngine({ base, own: { device_index: device } })).store(prompt, payloads(1));
    }
    const broken = onlyDataFile(base[0] ?? '');
    const bytes = readFileSync(broken);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(broken, bytes);

    const reader = await openEngine({ base });
    const read = targets(1);
    const result = await reader.retrieve(prompt, read);
    expect([outcomesOf(result), codesOf(result)]).toEqual([['hit'], [undefined]]);
    expect(read).toEqual(payloads(1));
    // The broken one is still replaced by the next store.
    expect(outcomesOf(await reader.store(prompt, payloads(1)))).toEqual(['stored']);
    expect(readFileSync(broken).subarray(4096)).toEqual(Buffer.from(payloads(1)[0] ?? []));
  });

  it('keeps what the first directory said where no other has the chunk', async () => {
    const base = directories(2);
    const prompt = tokens(CHUNK);
    await (await openEngine({ base })).store(prompt, payloads(1));
    const broken = onlyDataFile(base[0] ?? '');
    writeFileSync(broken, readFileSync(broken).fill(0, 0, 10));
    const result = await (await openEngine({ base, own: { device_index: 1 } })).retrieve(prompt, targets(1));
    expect([outcomesOf(result), codesOf(result)]).toEqual([['corrupt'], ['KVO_HEADER_INVALID']]);
  });

  it('reads and writes chunks by key across them', async () => {
    const base = directories(2);
    const engine = await openEngine({ base, own: { device_index: 1 } });
    await engine.store(tokens(CHUNK), payloads(1));
    const reader = await openEngine({ base });
    let listed = 0;
    for await (const { key, path } of reader.listChunks()) {
      listed++;
      const chunk = await reader.readChunk({ key: key ?? '' });
      expect([chunk.path, chunk.verified]).toEqual([path, true]);
      expect(chunk.bytes).toEqual(payloads(1)[0]);
    }
    expect(listed).toBe(1);
  });
});
