/** Store, look up, retrieve: the main job within one process. Between processes: test/process/sharing.test.ts. */
import { describe, expect, it } from 'vitest';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets } from '../support/engine.js';
import { byTransport } from '../support/device-memory.js';
import { temporaryDirectory } from '../support/directories.js';
import { outcomesOf, thrown } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';

describe('a prompt that was stored', () => {
  it('is found, retrieved byte by byte, and exists when it is stored again', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(4 * CHUNK + 3);
    const sources = payloads(4);
    const stored = await engine.store(prompt, sources);
    expect(stored.present).toBe(4);
    expect(stored.chunks).toEqual(
      [0, 1, 2, 3].map((index) => ({
        index,
        start: index * CHUNK,
        end: (index + 1) * CHUNK,
        outcome: 'stored',
        bytes: CHUNK_BYTES,
        via: byTransport({ host: 'buffered', staged: 'staged', gds: 'gds' }),
      })),
    );
    expect(await engine.lookup(prompt)).toBe(4 * CHUNK);

    const read = targets(4);
    const result = await engine.retrieve(prompt, read);
    expect(result.tokens).toBe(4 * CHUNK);
    expect(result.chunks.every((chunk) => chunk.outcome === 'hit' && chunk.verified)).toBe(true);
    expect(read).toEqual(sources);

    const again = await engine.store(prompt, payloads(4, 9));
    expect(outcomesOf(again)).toEqual(['exists', 'exists', 'exists', 'exists']);
    expect(again.present).toBe(4);
    await engine.retrieve(prompt, read);
    expect(read).toEqual(sources);
  });

  it('is a hit as far as another prompt agrees with it, in whole chunks', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(5 * CHUNK);
    await engine.store(prompt, payloads(5));
    const diverging = prompt.map((token, i) => (i < 2 * CHUNK + 5 ? token : token + 1));
    expect(await engine.lookup(diverging)).toBe(2 * CHUNK);
    const result = await engine.retrieve(diverging, targets(5));
    expect(result.tokens).toBe(2 * CHUNK);
    expect(outcomesOf(result)).toEqual(['hit', 'hit', 'miss', 'miss', 'miss']);
    expect(await engine.lookup(prompt.slice(0, 3 * CHUNK - 1))).toBe(2 * CHUNK);
    expect(await engine.lookup(tokens(5 * CHUNK, 1))).toBe(0);
  });

  it('stops being a prefix at the first chunk that is gone, though later ones are read', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(4 * CHUNK);
    const sources = payloads(4);
    await engine.store(prompt, sources.slice(0, 1));
    await engine.store(prompt, sources.slice(2), { skipTokens: 2 * CHUNK });
    expect(await engine.lookup(prompt)).toBe(CHUNK);
    const read = targets(4);
    const result = await engine.retrieve(prompt, read);
    expect(result.tokens).toBe(CHUNK);
    expect(outcomesOf(result)).toEqual(['hit', 'miss', 'hit', 'hit']);
    expect(read[3]).toEqual(sources[3]);
  });

  it('may be stored and retrieved in part, from the start on', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(4 * CHUNK);
    expect((await engine.store(prompt, payloads(2))).chunks).toHaveLength(2);
    expect(await engine.lookup(prompt)).toBe(2 * CHUNK);
    expect((await engine.retrieve(prompt, targets(1))).tokens).toBe(CHUNK);
    expect(await engine.retrieve(prompt, [])).toEqual({ tokens: 0, chunks: [] });
    expect(await engine.store(prompt, [])).toEqual({ present: 0, chunks: [] });
  });
});

describe('skipTokens', () => {
  it('counts the skipped tokens as there, and moves only what follows', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(4 * CHUNK);
    const sources = payloads(4);
    await engine.store(prompt, sources);
    const skipTokens = 2 * CHUNK;
    expect(await engine.lookup(prompt, { skipTokens })).toBe(4 * CHUNK);
    const read = targets(2);
    const result = await engine.retrieve(prompt, read, { skipTokens });
    expect(result.tokens).toBe(4 * CHUNK);
    expect(result.chunks.map((chunk) => [chunk.index, chunk.start])).toEqual([
      [2, 2 * CHUNK],
      [3, 3 * CHUNK],
    ]);
    expect(read).toEqual(sources.slice(2));
  });

  it('is the answer where nothing after it is cached, or nothing follows', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(2 * CHUNK);
    expect(await engine.lookup(prompt, { skipTokens: CHUNK })).toBe(CHUNK);
    expect((await engine.retrieve(prompt, targets(1), { skipTokens: CHUNK })).tokens).toBe(CHUNK);
    expect(await engine.lookup(prompt, { skipTokens: 2 * CHUNK })).toBe(2 * CHUNK);
    expect((await engine.retrieve(prompt, [], { skipTokens: 2 * CHUNK })).tokens).toBe(2 * CHUNK);
  });

  it.each([1, CHUNK - 1, -CHUNK, CHUNK + 0.5, 3 * CHUNK, NaN, Infinity])(
    'refuses %s of 2 chunks',
    async (skipTokens) => {
      const engine = await openEngine({ base: temporaryDirectory() });
      const prompt = tokens(2 * CHUNK);
      expect(await thrown(() => engine.lookup(prompt, { skipTokens }))).toMatchObject({ code: 'KVO_MASK_INVALID' });
      expect(await thrown(() => engine.store(prompt, [], { skipTokens }))).toMatchObject({ code: 'KVO_MASK_INVALID' });
      expect(await thrown(() => engine.retrieve(prompt, [], { skipTokens }))).toMatchObject({
        code: 'KVO_MASK_INVALID',
      });
    },
  );
});

describe('tags', () => {
  it('keep caches apart, in their order', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(CHUNK);
    await engine.store(prompt, payloads(1, 1), { tags: { user: 'ä/1', lora: 'x' } });
    expect(await engine.lookup(prompt)).toBe(0);
    expect(await engine.lookup(prompt, { tags: { user: 'ä/1' } })).toBe(0);
    expect(await engine.lookup(prompt, { tags: { lora: 'x', user: 'ä/1' } })).toBe(0);
    expect(await engine.lookup(prompt, { tags: { user: 'ä/1', lora: 'x' } })).toBe(CHUNK);
    const read = targets(1);
    await engine.retrieve(prompt, read, { tags: { user: 'ä/1', lora: 'x' } });
    expect(read).toEqual(payloads(1, 1));
  });
});

describe('a tail shorter than a chunk', () => {
  it('is a chunk of its own size with save_unfull_chunk', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), settings: { save_unfull_chunk: true } });
    const prompt = tokens(CHUNK + 5);
    const tailBytes = (CHUNK_BYTES / CHUNK) * 5;
    const sources = [payload(1, CHUNK_BYTES), payload(2, tailBytes)];
    expect((await engine.store(prompt, sources)).chunks[1]).toMatchObject({ end: CHUNK + 5, bytes: tailBytes });
    expect(await engine.lookup(prompt)).toBe(CHUNK + 5);
    expect(await engine.lookup(prompt.slice(0, CHUNK + 4))).toBe(CHUNK);
    const read = [new Uint8Array(CHUNK_BYTES), new Uint8Array(tailBytes)];
    expect((await engine.retrieve(prompt, read)).tokens).toBe(CHUNK + 5);
    expect(read).toEqual(sources);
  });

  it('uses the start of a slot, and leaves the rest of it alone', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), settings: { save_unfull_chunk: true } });
    const [from, into] = await engine.lease(2);
    if (!from || !into) return expect.fail('two slots');
    from.bytes.set(payload(1, CHUNK_BYTES));
    into.bytes.fill(0xee);
    const tailBytes = (CHUNK_BYTES / CHUNK) * 5;
    await engine.store(tokens(5), [from]);
    expect((await engine.retrieve(tokens(5), [into])).tokens).toBe(5);
    expect(into.bytes.subarray(0, tailBytes)).toEqual(from.bytes.subarray(0, tailBytes));
    expect(into.bytes.subarray(tailBytes).every((byte) => byte === 0xee)).toBe(true);
  });

  it('is no chunk without it', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    expect(await thrown(() => engine.store(tokens(CHUNK + 5), payloads(2)))).toMatchObject({
      code: 'KVO_ARGUMENT_INVALID',
    });
    expect(await engine.lookup(tokens(5))).toBe(0);
  });
});

describe('the kinds of tokens', () => {
  it('name the same chunks: numbers, Uint32Array, BigInt64Array', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = tokens(2 * CHUNK, 3);
    await engine.store(prompt, payloads(2));
    expect(await engine.lookup(Uint32Array.from(prompt))).toBe(2 * CHUNK);
    expect(await engine.lookup(BigInt64Array.from(prompt, BigInt))).toBe(2 * CHUNK);
    const wide = prompt.map((token) => token + 2 ** 40);
    await engine.store(wide, payloads(2, 1));
    expect(await engine.lookup(BigInt64Array.from(wide, BigInt))).toBe(2 * CHUNK);
  });

  it('are read when the call is made: changing them afterwards changes nothing', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const original = tokens(2 * CHUNK);
    await engine.store(original, payloads(2));

    const reused = Uint32Array.from(original);
    const retrieving = engine.retrieve(reused, targets(2));
    reused.fill(7);
    expect(outcomesOf(await retrieving)).toEqual(['hit', 'hit']);

    const later = Uint32Array.from(tokens(2 * CHUNK, 5));
    const prepared = engine.prepare(later);
    later.fill(7);
    await engine.store(prepared, payloads(2, 5));
    expect(outcomesOf(await engine.retrieve(tokens(2 * CHUNK, 5), targets(2)))).toEqual(['hit', 'hit']);
  });
});

describe('a prepared prompt', () => {
  it('stands for its tokens, tags and skipped tokens in every call', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const all = tokens(3 * CHUNK + 1);
    const prompt = engine.prepare(all, { skipTokens: CHUNK, tags: { a: '1' } });
    expect([prompt.length, prompt.skipTokens]).toEqual([3 * CHUNK + 1, CHUNK]);
    expect((await engine.store(prompt, payloads(2))).present).toBe(2);
    expect(await engine.lookup(prompt)).toBe(3 * CHUNK);
    expect(await engine.lookup(all, { skipTokens: CHUNK, tags: { a: '1' } })).toBe(3 * CHUNK);
    const read = targets(2);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(3 * CHUNK);
    expect(read).toEqual(payloads(2));
  });

  it('takes no second set of options', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const prompt = engine.prepare(tokens(CHUNK));
    for (const options of [{ skipTokens: 0 }, { tags: {} }]) {
      expect(await thrown(() => engine.lookup(prompt, options))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
    }
  });

  it('of another engine is refused: its keys and paths are not this one’s', async () => {
    const one = await openEngine({ base: temporaryDirectory() });
    const other = await openEngine({ base: temporaryDirectory(), model: { modelName: 'org/other' } });
    const prompt = one.prepare(tokens(CHUNK));
    expect(await thrown(() => other.store(prompt, payloads(1)))).toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});

describe('min_retrieve_tokens', () => {
  it('makes a shorter hit none', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), settings: { min_retrieve_tokens: 2 * CHUNK } });
    const prompt = tokens(4 * CHUNK);
    await engine.store(prompt, payloads(1));
    expect(await engine.lookup(prompt)).toBe(0);
    await engine.store(prompt, payloads(2));
    expect(await engine.lookup(prompt)).toBe(2 * CHUNK);
    expect(await engine.lookup(prompt, { skipTokens: CHUNK })).toBe(CHUNK);
  });
});

describe('the algorithm builtin', () => {
  it('does the main job too, under other names', async () => {
    const base = temporaryDirectory();
    const builtin = { pre_caching_hash_algorithm: 'builtin' };
    const engine = await openEngine({ base, settings: builtin });
    const prompt = tokens(3 * CHUNK);
    await engine.store(prompt, payloads(3));
    const second = await openEngine({ base, settings: builtin });
    const read = targets(3);
    expect((await second.retrieve(prompt, read)).tokens).toBe(3 * CHUNK);
    expect(read).toEqual(payloads(3));
    expect(await (await openEngine({ base })).lookup(prompt)).toBe(0);
  });
});

describe('a model with multi-head latent attention', () => {
  const model = { useMla: true, kvShape: [2, 1, CHUNK, 1, 32], worldSize: 4 } as const;

  it('has keys of world size 1 and one tensor a chunk', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, model });
    await engine.store(tokens(CHUNK), payloads(1));
    for await (const chunk of engine.listChunks()) {
      expect(chunk.key).toMatch(/^org\/small@1@0@/);
      expect(chunk).toMatchObject({ shape: [1, 2, CHUNK, 32], format: 6 });
    }
    expect(await engine.lookup(tokens(CHUNK))).toBe(CHUNK);
  });

  it('is stored by worker 0 alone', async () => {
    const base = temporaryDirectory();
    const second = await openEngine({ base, model: { ...model, workerId: 1 } });
    const result = await second.store(tokens(2 * CHUNK), payloads(2));
    expect(result).toMatchObject({ present: 0, chunks: [{ outcome: 'dropped' }, { outcome: 'dropped' }] });
    expect(result.chunks[0]?.error?.code).toBe('KVO_NOT_FIRST_RANK');
    expect(second.stats()).toMatchObject({ dropped: 2, stored: 0 });
    for await (const chunk of second.listChunks()) expect.fail(`${chunk.path} was stored`);
  });

  it('is stored by every worker where save_only_first_rank is false', async () => {
    const extra = { save_only_first_rank: false };
    const engine = await openEngine({ base: temporaryDirectory(), model: { ...model, workerId: 1 }, extra });
    expect((await engine.store(tokens(CHUNK), payloads(1))).present).toBe(1);
  });
});

describe('workers of one model', () => {
  it('keep chunks of their own', async () => {
    const base = temporaryDirectory();
    const engines = await Promise.all(
      [0, 1].map((workerId) => openEngine({ base, model: { worldSize: 2, workerId } })),
    );
    await Promise.all(engines.map((engine, i) => engine.store(tokens(CHUNK), payloads(1, i))));
    for (const [i, engine] of engines.entries()) {
      const read = targets(1);
      expect((await engine.retrieve(tokens(CHUNK), read)).tokens).toBe(CHUNK);
      expect(read).toEqual(payloads(1, i));
    }
  });
});
