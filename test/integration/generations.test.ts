/** Directories of every LMCache from 0.3.6 on: written and read as its own, and told apart where they lie together. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type KVCacheEngine, type ListedChunk, ChunkFiles } from '../../src/index.js';
import { linkCount, temporaryDirectory } from '../support/directories.js';
import { CHUNK, CHUNK_BYTES, configOf, openEngine, payloads, targets, wholeOf } from '../support/engine.js';
import { writeLmcacheFile } from '../support/lmcache-files.js';
import { codesOf, outcomesOf } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

/** A release, its generation, its suffix off WEKA, the start of its keys, and of its headers. */
const RELEASES = [
  ['0.3.6', '0.3.6-0.3.9', '.weka1', 'vllm@org/small@1@0@', 1n],
  ['0.3.10', '0.3.10-0.3.11', '.weka1', 'vllm@org/small@1@0@', 1n],
  ['0.3.12', '0.3.12', '.kvcache.safetensors', 'vllm@org/small@1@0@', 4088n],
  ['0.3.15', '0.3.13-0.4.2', '.kvcache.safetensors', 'org/small@1@0@', 4088n],
  ['0.4.2', '0.3.13-0.4.2', '.kvcache.safetensors', 'org/small@1@0@', 4088n],
  ['0.4.3', '0.4.3-0.5.6', '.kvcache.safetensors', 'org/small@1@0@', 4088n],
  ['0.5.6', '0.4.3-0.5.6', '.kvcache.safetensors', 'org/small@1@0@', 4088n],
] as const;

const open = (base: string, version: string, more: Readonly<Record<string, unknown>> = {}) =>
  openEngine({ base, own: { lmcache_version: version, ...more }, settings: { save_unfull_chunk: true } });

const prompt = tokens(2 * CHUNK + 2);
/** Two chunks and the two tokens left of a third. */
const sources = () => [...payloads(2), payload(77, CHUNK_BYTES / 8)];
const spaces = () => [...targets(2), new Uint8Array(CHUNK_BYTES / 8)];

async function listed(engine: KVCacheEngine): Promise<ListedChunk[]> {
  const chunks: ListedChunk[] = [];
  for await (const chunk of engine.listChunks()) chunks.push(chunk);
  return chunks;
}

describe.each(RELEASES)('LMCache %s', (version, generation, suffix, keys, word) => {
  it('is written and read as its own, verified', async () => {
    const engine = await open(temporaryDirectory(), version);
    expect(outcomesOf(await engine.store(prompt, sources()))).toEqual(['stored', 'stored', 'stored']);
    expect(outcomesOf(await engine.store(prompt, sources()))).toEqual(['exists', 'exists', 'exists']);
    expect(await engine.lookup(prompt)).toBe(prompt.length);
    const read = spaces();
    const result = await engine.retrieve(prompt, read);
    expect(result.chunks.map((chunk) => [chunk.outcome, chunk.verified])).toEqual(new Array(3).fill(['hit', true]));
    for (const [i, source] of sources().entries()) expect(sameBytes(read[i] ?? new Uint8Array(), source)).toBe(true);

    const chunks = await listed(engine);
    expect(chunks).toHaveLength(3);
    for (const { path, key, problem, sums, generation: named } of chunks) {
      expect([named, problem, sums, key?.startsWith(keys), path.endsWith(suffix)]).toEqual([
        generation,
        undefined,
        true,
        true,
        true,
      ]);
      expect(readFileSync(path).readBigUInt64LE(0)).toBe(word);
      // The sidecar is the data file under another name: that LMCache's reader takes more than a header.
      expect(linkCount(path)).toBe(2);
      expect(existsSync(`${path}.metadata`)).toBe(true);
    }
  });

  it('finds a chunk of its by key and path, with its header', async () => {
    const base = temporaryDirectory();
    const engine = await open(base, version);
    await engine.store(prompt, sources());
    const files = await ChunkFiles.open(await configOf({ base, own: { lmcache_version: version } }));
    try {
      for (const { key = '', path } of await listed(engine)) {
        const chunk = await files.readChunk({ key });
        expect(chunk).toMatchObject({ key, path, dtype: 'BF16', format: 1, verified: true });
        expect(await files.readChunk({ path })).toEqual(chunk);
        expect(await files.inspect(path)).toMatchObject({ key, generation, sidecar: 'hard link', problems: [] });
        expect(await files.writeChunk(key, chunk, chunk.bytes)).toBe('exists');
      }
    } finally {
      await files.close();
    }
  });

  it('tells another prompt’s chunk by its prefix, though keys have 64 bits at most', async () => {
    const engine = await open(temporaryDirectory(), version);
    await engine.store(prompt, sources());
    const path = wholeOf(engine.prepare(prompt)).paths(0)[0] ?? '';
    const bytes = readFileSync(path);
    const other = tokens(CHUNK, 9);
    const [at = ''] = wholeOf(engine.prepare(other)).paths(0);
    const renamed = Buffer.from(bytes.toString('latin1').replaceAll(keyIn(path), keyIn(at)), 'latin1');
    writeLmcacheFile(at, renamed.subarray(0, 4096), renamed.subarray(4096));
    const result = await engine.retrieve(other, targets(1));
    expect([outcomesOf(result), codesOf(result)]).toEqual([['miss'], ['KVO_CHUNK_COLLISION']]);
  });
});

/** The hash in a file's name. */
function keyIn(path: string): string {
  return /(?:@|%40)(-?[0-9a-f]{8,64})(?:@|%40|\.)/.exec(path.slice(path.lastIndexOf('/')))?.[1] ?? '';
}

describe('one directory of them all', () => {
  it('lists each under its name', async () => {
    const base = temporaryDirectory();
    for (const [version] of RELEASES) await (await open(base, version)).store(prompt, sources());
    const chunks = await listed(await open(base, '0.5.6'));
    const count = (name: string) => chunks.filter(({ generation }) => generation === name).length;
    expect(chunks.map(({ problem }) => problem)).toEqual(chunks.map(() => undefined));
    expect(RELEASES.map(([, name]) => count(name))).toEqual([3, 3, 3, 6, 6, 6, 6]);
  });

  it('has no hit of one regime in another', async () => {
    const base = temporaryDirectory();
    await (await open(base, '0.4.6')).store(prompt, sources());
    expect(await (await open(base, '0.4.5')).lookup(prompt)).toBe(0);
    expect(await (await open(base, '0.4.5', { hash_regime: 'C' })).lookup(prompt)).toBe(prompt.length);
    expect(await (await open(base, '0.5.6', { none_hash: 'zero' })).lookup(prompt)).toBe(0);
  });
});

describe('a chunk of LMCache’s Weka backend', () => {
  /** `<QQQQ` and the dimensions. */
  function words(...numbers: number[]): Buffer {
    const bytes = Buffer.alloc(8 * numbers.length);
    for (const [i, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 8 * i);
    return bytes;
  }
  const sidecar = words(1, 2, CHUNK_BYTES, 4, 2, 2, CHUNK, 16);
  const header = Buffer.concat([sidecar, Buffer.alloc(4096 - sidecar.length)]);

  it.each(['0.3.9', '0.3.11'])(
    'of %s is a hit that cannot be verified, and its short sidecar a copy',
    async (version) => {
      const engine = await open(temporaryDirectory(), version);
      const [path = ''] = wholeOf(engine.prepare(prompt)).paths(0);
      const source = payload(3, CHUNK_BYTES);
      writeLmcacheFile(path, header, source, sidecar);
      const read = targets(1);
      expect(await engine.retrieve(prompt, read)).toMatchObject({
        tokens: CHUNK,
        chunks: [{ outcome: 'hit', verified: false }],
      });
      expect(sameBytes(read[0] ?? new Uint8Array(), source)).toBe(true);
      const [chunk] = await listed(engine);
      expect(chunk).toMatchObject({ dtype: 'BF16', shape: [2, 2, CHUNK, 16], format: 1, sums: false });
    },
  );

  it('is told from one under its name with another header', async () => {
    const engine = await open(temporaryDirectory(), '0.3.9');
    const [path = ''] = wholeOf(engine.prepare(prompt)).paths(0);
    writeLmcacheFile(
      path,
      Buffer.concat([words(1, 2, CHUNK_BYTES, 2 ** 40), Buffer.alloc(4064)]),
      payload(3, CHUNK_BYTES),
    );
    const result = await engine.retrieve(prompt, targets(1));
    expect([outcomesOf(result), codesOf(result)]).toEqual([['corrupt'], ['KVO_HEADER_INVALID']]);
    expect(outcomesOf(await engine.store(prompt, sources()))).toEqual(['stored', 'stored', 'stored']);
  });
});

describe('a key that a generation refuses', () => {
  it('is an error of the whole call, before anything is written', async () => {
    const base = temporaryDirectory();
    const model = { modelName: 'org/under_score' };
    const engine = await openEngine({ base, model, own: { lmcache_version: '0.4.2' } });
    await expect(engine.lookup(prompt)).rejects.toMatchObject({ code: 'KVO_KEY_INVALID' });
    await expect(engine.store(prompt, payloads(1))).rejects.toMatchObject({ code: 'KVO_KEY_INVALID' });
    const later = await openEngine({ base, model, own: { lmcache_version: '0.4.3' } });
    expect(outcomesOf(await later.store(prompt, payloads(1)))).toEqual(['stored']);
    expect(readdirSync(base)).toHaveLength(1);
  });
});
