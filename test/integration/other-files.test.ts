/** Files that this library did not write, or not under that name: LMCache's own, another prompt's, another model's. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { KVCacheEngine } from '../../src/index.js';
import { encodeHeader, sumBlockBytes } from '../../src/layout/index.js';
import { blockSums } from '../../src/transfer.js';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets, wholeOf } from '../support/engine.js';
import { leftovers, linkCount, onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { lmcacheHeader, rawHeader, writeLmcacheFile } from '../support/lmcache-files.js';
import { codesOf, outcomesOf } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const SHAPE = [2, 2, CHUNK, 16];
const theirs = { dtype: 'BF16', shape: SHAPE, bytes: CHUNK_BYTES, fmt: 1 };
const prompt = tokens(CHUNK);
const source = payload(3, CHUNK_BYTES);

/** Where an engine looks for a prompt's first chunk. */
function pathOf(engine: KVCacheEngine, of = prompt): string {
  return wholeOf(engine.prepare(of)).paths(0)[0] ?? '';
}

describe('a chunk that LMCache wrote', () => {
  it.each([
    ['with its sidecar', lmcacheHeader(theirs)],
    ['without one', undefined],
    ['with one that disagrees', lmcacheHeader({ ...theirs, bytes: 7, shape: [7] })],
    ['with an empty one', Buffer.alloc(0)],
  ])('is a hit that cannot be verified: %s', async (_, sidecar) => {
    const engine = await openEngine({ base: temporaryDirectory() });
    writeLmcacheFile(pathOf(engine), lmcacheHeader(theirs), source, sidecar);
    expect(await engine.lookup(prompt)).toBe(CHUNK);
    const read = targets(1);
    const result = await engine.retrieve(prompt, read);
    expect(result).toMatchObject({ tokens: CHUNK, chunks: [{ outcome: 'hit', verified: false }] });
    expect(sameBytes(read[0] ?? new Uint8Array(), source)).toBe(true);
    expect(engine.stats()).toMatchObject({ hits: 1, unverified: 1, corrupt: 0, collisions: 0 });
    expect(outcomesOf(await engine.store(prompt, payloads(1)))).toEqual(['exists']);
    expect(readFileSync(pathOf(engine)).subarray(4096)).toEqual(Buffer.from(source));
  });

  it('is one without the number of its format, of 2025, too', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const json = lmcacheHeader(theirs).toString('latin1', 8).trimEnd().replace(', "fmt": 1', '');
    writeLmcacheFile(pathOf(engine), rawHeader(json), source);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['hit']);
  });

  it('keeps further metadata of a stranger’s', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const header = lmcacheHeader({
      ...theirs,
      metadata: { kv_offload_version: '2', kv_offload_sums: 'zz', other: 'ä' },
    });
    writeLmcacheFile(pathOf(engine), header, source);
    expect(await engine.retrieve(prompt, targets(1))).toMatchObject({ chunks: [{ outcome: 'hit', verified: false }] });
  });
});

describe('a missing sidecar', () => {
  it('is a hit all the same, and made again by the next store', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(prompt, [source]);
    const file = onlyDataFile(base);
    unlinkSync(`${file}.metadata`);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['hit']);
    expect(outcomesOf(await engine.store(prompt, [source]))).toEqual(['exists']);
    expect(statSync(`${file}.metadata`).ino).toBe(statSync(file).ino);
    expect(leftovers(base)).toEqual([]);
  });

  it('is made again from the header where hard links are refused', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: 'link:EPERM' });
    await engine.store(prompt, [source]);
    const file = onlyDataFile(base);
    unlinkSync(`${file}.metadata`);
    await engine.store(prompt, [source]);
    expect(linkCount(file)).toBe(1);
    expect(readFileSync(`${file}.metadata`)).toEqual(readFileSync(file).subarray(0, 4096));
  });
});

describe('another prompt’s chunk under the same 64 bits', () => {
  /** Puts a chunk of another prompt where `prompt`'s first is looked for; sound in everything else. */
  function collide(engine: KVCacheEngine): string {
    const other = wholeOf(engine.prepare(tokens(CHUNK, 8)));
    const mine = wholeOf(engine.prepare(prompt));
    const [chunk, wanted] = [other.chunks[0], mine.chunks[0]];
    if (!chunk || !wanted) return expect.fail('a chunk each');
    const sumBlock = sumBlockBytes(CHUNK_BYTES);
    const { bytes } = encodeHeader({
      dtype: 'BF16',
      shape: SHAPE,
      format: 1,
      extras: {
        key: mine.key(wanted),
        chunkIndex: 0,
        prefix: other.digest(chunk),
        sumBlock,
        sums: blockSums(source, sumBlock),
      },
    });
    writeLmcacheFile(pathOf(engine), Buffer.from(bytes), source);
    return pathOf(engine);
  }

  it('is a miss, and counted', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    collide(engine);
    const result = await engine.retrieve(prompt, targets(1));
    expect(result.tokens).toBe(0);
    expect([outcomesOf(result), codesOf(result)]).toEqual([['miss'], ['KVO_CHUNK_COLLISION']]);
    expect(engine.stats()).toMatchObject({ collisions: 1, misses: 1, corrupt: 0, hits: 0 });
  });

  it('is a miss with checksums off too', async () => {
    const engine = await openEngine({ base: temporaryDirectory(), own: { checksums: false } });
    collide(engine);
    expect(codesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['KVO_CHUNK_COLLISION']);
  });

  it('stays: what would be stored in its place is dropped', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const before = readFileSync(collide(engine));
    await engine.retrieve(prompt, targets(1));
    const result = await engine.store(prompt, payloads(1));
    expect(result.present).toBe(0);
    expect([outcomesOf(result), codesOf(result)]).toEqual([['dropped'], ['KVO_CHUNK_COLLISION']]);
    expect(engine.stats()).toMatchObject({ collisions: 2, dropped: 1, stored: 0 });
    expect(readFileSync(pathOf(engine))).toEqual(before);
    expect(leftovers(base)).toEqual([]);
  });
});

describe('another model’s chunk under the same name', () => {
  it('is of no use, said so, and not overwritten', async () => {
    const base = temporaryDirectory();
    const one = await openEngine({ base });
    await one.store(prompt, [source]);
    // As many bytes, laid out otherwise; and another number of bytes.
    for (const kvShape of [
      [1, 2, CHUNK, 4, 8],
      [3, 2, CHUNK, 2, 8],
    ] as const) {
      const other = await openEngine({ base, model: { kvShape } });
      const bytes = kvShape[0] * kvShape[3] * kvShape[4] * 2 * CHUNK * 2;
      const read = await other.retrieve(prompt, targets(1, bytes));
      expect([read.tokens, outcomesOf(read), codesOf(read)]).toEqual([0, ['corrupt'], ['KVO_SHAPE_MISMATCH']]);
      const stored = await other.store(prompt, targets(1, bytes));
      expect([outcomesOf(stored), codesOf(stored)]).toEqual([['dropped'], ['KVO_SHAPE_MISMATCH']]);
    }
    const read = targets(1);
    expect(outcomesOf(await one.retrieve(prompt, read))).toEqual(['hit']);
    expect(sameBytes(read[0] ?? new Uint8Array(), source)).toBe(true);
  });

  it('of several tensors, as LMCache has them, is left alone too', async () => {
    const engine = await openEngine({ base: temporaryDirectory() });
    const json = lmcacheHeader({ ...theirs, bytes: CHUNK_BYTES + 64 })
      .toString('latin1', 8)
      .trimEnd()
      .replace(/\}\}$/, `, "shapes": [[${SHAPE.join(', ')}], [64]], "dtypes": ["BF16", "U8"]}}`);
    writeLmcacheFile(pathOf(engine), rawHeader(json), payload(1, CHUNK_BYTES + 64));
    expect(codesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['KVO_SHAPE_MISMATCH']);
    expect(codesOf(await engine.store(prompt, payloads(1)))).toEqual(['KVO_SHAPE_MISMATCH']);
    expect(statSync(pathOf(engine)).size).toBe(4096 + CHUNK_BYTES + 64);
  });
});

describe('a chunk under another’s name', () => {
  it('is corrupt, and replaced by the next store, whatever its shape', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const large = await openEngine({ base, model: { modelName: 'org/large', kvShape: [3, 2, CHUNK, 2, 8] } });
    await engine.store(tokens(CHUNK, 1), payloads(1, 1));
    await large.store(prompt, targets(1, 3072));
    for (const from of [pathOf(engine, tokens(CHUNK, 1)), pathOf(large)]) {
      mkdirSync(dirname(pathOf(engine)), { recursive: true });
      copyFileSync(from, pathOf(engine));
      const result = await engine.retrieve(prompt, targets(1));
      expect([outcomesOf(result), codesOf(result)]).toEqual([['corrupt'], ['KVO_CHUNK_CORRUPT']]);
      expect(outcomesOf(await engine.store(prompt, [source]))).toEqual(['stored']);
      expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['hit']);
      rmSync(pathOf(engine));
      rmSync(`${pathOf(engine)}.metadata`);
    }
  });
});

describe('something that is no file under a chunk’s name', () => {
  it.each<[string, (path: string) => void, string]>([
    ['a directory', (path) => mkdirSync(path), 'failed'],
    ['a FIFO, which nothing must wait for', (path) => execFileSync('mkfifo', [path]), 'failed'],
    ['a link to nothing', (path) => symlinkSync('/nonexistent/kvo', path), 'miss'],
  ])('does no harm: %s', async (_, make, outcome) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const both = tokens(2 * CHUNK);
    await engine.store(both, payloads(2));
    rmSync(pathOf(engine));
    make(pathOf(engine));
    expect(outcomesOf(await engine.retrieve(both, targets(2)))).toEqual([outcome, 'hit']);
    const stored = await engine.store(both, payloads(2));
    expect(outcomesOf(stored)).toEqual(['failed', 'exists']);
    expect(stored.chunks[0]?.error).toMatchObject({ code: 'KVO_PATH_UNUSABLE' });
    expect(leftovers(base)).toEqual([]);
  });
});

describe('a file where a directory should be', () => {
  it('fails the stores below it alone, and is a miss', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const directory = dirname(pathOf(engine));
    mkdirSync(dirname(directory), { recursive: true });
    writeFileSync(directory, '');
    expect(await engine.lookup(prompt)).toBe(0);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['miss']);
    const stored = await engine.store(tokens(2 * CHUNK), payloads(2));
    expect(codesOf(stored)).toEqual(['KVO_PATH_UNUSABLE', undefined]);
    expect(existsSync(directory)).toBe(true);
  });
});
