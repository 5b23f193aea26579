/** Chunks of which each layer is a file of its own. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChunkFiles, type ListedChunk, MEMORY_FORMATS } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, configOf, openEngine, payloads, targets, wholeOf } from '../support/engine.js';
import { temporaryDirectory } from '../support/directories.js';

const LAYERS = 2;
const LAYER_BYTES = CHUNK_BYTES / LAYERS;
const TOKENS = Uint32Array.from({ length: 3 * CHUNK }, (_, i) => i);
const settings = { use_layerwise: true };

describe('use_layerwise', () => {
  it('stores and retrieves each layer by itself', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), settings });
    const prompt = engine.prepare(TOKENS);
    for (let layer = 0; layer < LAYERS; layer++) {
      const stored = await engine.storeLayer(prompt, layer, payloads(3, layer, LAYER_BYTES));
      expect(stored.chunks.map((chunk) => chunk.outcome)).toEqual(['stored', 'stored', 'stored']);
    }
    for (let layer = LAYERS - 1; layer >= 0; layer--) {
      const memory = targets(3, LAYER_BYTES);
      const { tokens, chunks } = await engine.retrieveLayer(prompt, layer, memory);
      expect(tokens).toBe(3 * CHUNK);
      expect(chunks.every((chunk) => chunk.verified)).toBe(true);
      expect(memory).toEqual(payloads(3, layer, LAYER_BYTES));
    }
  });

  it('counts a chunk as cached only when all its layers are there', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, settings });
    await engine.storeLayer(TOKENS, 0, payloads(3, 0, LAYER_BYTES));
    expect(await engine.lookup(TOKENS)).toBe(0);
    await engine.storeLayer(TOKENS, 1, payloads(2, 1, LAYER_BYTES));
    expect(await engine.lookup(TOKENS)).toBe(2 * CHUNK);
    await engine.storeLayer(TOKENS, 1, payloads(3, 1, LAYER_BYTES));
    expect(await engine.lookup(TOKENS)).toBe(3 * CHUNK);

    const second = wholeOf(engine.prepare(TOKENS)).paths(0)[1] ?? '';
    rmSync(second);
    expect(await engine.lookup(TOKENS)).toBe(CHUNK);
  });

  it('finds the layers of a chunk below different base paths', async () => {
    const bases = [temporaryDirectory(), temporaryDirectory()];
    const [first, second] = [
      await openEngine({ base: bases, settings, own: { device_index: 0 } }),
      await openEngine({ base: bases, settings, own: { device_index: 1 } }),
    ];
    await first.storeLayer(TOKENS, 0, payloads(3, 0, LAYER_BYTES));
    await second.storeLayer(TOKENS, 1, payloads(3, 1, LAYER_BYTES));
    expect(await first.lookup(TOKENS)).toBe(3 * CHUNK);
    const memory = targets(3, LAYER_BYTES);
    await first.retrieveLayer(TOKENS, 1, memory);
    expect(memory).toEqual(payloads(3, 1, LAYER_BYTES));
  });

  it('names and describes its files as LMCache does: the layer in the key, [T, 2, H·D]', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, settings });
    await engine.storeLayer(TOKENS, 1, payloads(1, 0, LAYER_BYTES), { tags: { user: 'bob' } });
    const files = await ChunkFiles.open(await configOf({ base }));
    const listed: ListedChunk[] = [];
    for await (const chunk of files.listChunks()) listed.push(chunk);
    await files.close();
    expect(listed).toEqual([expect.objectContaining({ shape: [CHUNK, 2, 16], format: MEMORY_FORMATS.KV_T2D })]);
    expect(listed[0]?.key).toMatch(/^org\/small@1@0@[0-9a-f]+@bfloat16@1@user%bob$/);
    expect(
      readdirSync(base, { recursive: true, encoding: 'utf8' }).some((name) => join(base, name) === listed[0]?.path),
    ).toBe(true);
  });

  it('refuses calls for whole chunks, layers there are not, and models it cannot lay out', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, settings });
    const invalid = expect.objectContaining({ code: 'KVO_ARGUMENT_INVALID' }) as Error;
    await expect(engine.store(TOKENS, payloads(3))).rejects.toEqual(invalid);
    await expect(engine.retrieve(TOKENS, targets(3))).rejects.toEqual(invalid);
    for (const layer of [-1, LAYERS, 0.5, NaN]) {
      await expect(engine.storeLayer(TOKENS, layer, [])).rejects.toEqual(invalid);
    }
    const whole = await openEngine({ base });
    await expect(whole.storeLayer(TOKENS, 0, [])).rejects.toEqual(invalid);
    await expect(whole.retrieveLayer(TOKENS, 0, [])).rejects.toEqual(invalid);
    const mla = { useMla: true, kvShape: [2, 1, CHUNK, 1, 8] as const };
    await expect(openEngine({ base, settings, model: mla })).rejects.toMatchObject({ code: 'KVO_UNSUPPORTED' });
  });
});
