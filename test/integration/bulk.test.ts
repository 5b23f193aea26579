/** Chunks by key or path, without a model or tokens: what scripts use. */
import { mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ChunkFiles, type ListedChunk } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, configOf, openEngine, payloads } from '../support/engine.js';
import { dataFiles, leftovers, memoryDirectory, temporaryDirectory } from '../support/directories.js';
import { lmcacheHeader, writeLmcacheFile } from '../support/lmcache-files.js';
import { rejection } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';

const KEY = 'org/m@1@0@abcdef0123456789@half';
const TENSOR = { dtype: 'float16', shape: [2, 3, 5] };
const BYTES = payload(1, 60);

async function openFiles(base: string | string[], faults?: Parameters<typeof configOf>[0]['own']): Promise<ChunkFiles> {
  const files = await ChunkFiles.open(await configOf({ base, ...(faults && { own: faults }) }));
  onTestFinished(async () => {
    await files.close();
  });
  return files;
}

async function listed(from: { listChunks: () => AsyncIterable<ListedChunk> }): Promise<ListedChunk[]> {
  const chunks: ListedChunk[] = [];
  for await (const chunk of from.listChunks()) chunks.push(chunk);
  return chunks.sort((a, b) => (a.path < b.path ? -1 : 1));
}

describe('writeChunk and readChunk', () => {
  it('put a chunk under its key, and bring it back by key and by path', async () => {
    const files = await openFiles(temporaryDirectory());
    expect(await files.writeChunk(KEY, TENSOR, BYTES)).toBe('stored');
    const chunk = await files.readChunk({ key: KEY });
    expect(chunk).toMatchObject({ key: KEY, dtype: 'F16', shape: [2, 3, 5], format: 3, verified: true });
    expect(chunk.bytes).toEqual(BYTES);
    expect(await files.readChunk({ path: chunk.path })).toEqual(chunk);
    expect(await files.inspect(chunk.path)).toMatchObject({ key: KEY, sidecar: 'hard link', problems: [] });
  });

  it('keep the first chunk unless told to replace it', async () => {
    const files = await openFiles(temporaryDirectory());
    await files.writeChunk(KEY, TENSOR, BYTES);
    const other = payload(2, 60);
    expect(await files.writeChunk(KEY, TENSOR, other)).toBe('exists');
    expect((await files.readChunk({ key: KEY })).bytes).toEqual(BYTES);
    expect(await files.writeChunk(KEY, TENSOR, other, { replace: true })).toBe('stored');
    expect((await files.readChunk({ key: KEY })).bytes).toEqual(other);
  });

  it('say that a chunk is corrupt, rather than that it exists', async () => {
    const base = temporaryDirectory();
    const files = await openFiles(base);
    await files.writeChunk(KEY, TENSOR, BYTES);
    const [file = ''] = dataFiles(base);
    writeFileSync(file, readFileSync(file).subarray(0, 4100));
    expect(await rejection(files.writeChunk(KEY, TENSOR, BYTES))).toMatchObject({ code: 'KVO_CHUNK_CORRUPT' });
    expect(await rejection(files.readChunk({ key: KEY }))).toMatchObject({ code: 'KVO_CHUNK_CORRUPT' });
    expect(await files.writeChunk(KEY, TENSOR, BYTES, { replace: true })).toBe('stored');
    expect((await files.readChunk({ key: KEY })).bytes).toEqual(BYTES);
    expect(leftovers(base)).toEqual([]);
  });

  it('work for keys with a layer and tags, and for the engine’s own chunks', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const key = 'a b/c@2@1@-4950f44f@fp8_e5m2@17@user%ä%b@x%';
    await engine.writeChunk(key, { dtype: 'fp8_e5m2', shape: [60] }, BYTES);
    expect(await engine.readChunk({ key })).toMatchObject({ key, dtype: 'F8E5M2', format: 4, verified: true });
    await engine.store(tokens(CHUNK), payloads(1));
    const [own] = (await listed(engine)).filter((chunk) => chunk.key?.startsWith('org/small'));
    const read = await engine.readChunk({ key: own?.key ?? '' });
    expect(read.bytes).toEqual(payloads(1)[0]);
  });

  it('read chunks of any name by path, and LMCache’s own unverified', async () => {
    const base = temporaryDirectory();
    const path = join(base, 'aa', 'bb', 'somebody.kvcache.safetensors');
    writeLmcacheFile(path, lmcacheHeader({ dtype: 'U8', shape: [60], bytes: 60, fmt: 4 }), BYTES);
    const files = await openFiles(base);
    const chunk = await files.readChunk({ path });
    expect(chunk).toMatchObject({ path, verified: false });
    expect('key' in chunk).toBe(false);
  });
});

describe('listChunks', () => {
  it('tells of every chunk of every directory, and what is wrong with it', async () => {
    const base = [temporaryDirectory(), temporaryDirectory()];
    const engine = await openEngine({ base, own: { device_index: 1 } });
    await engine.store(tokens(2 * CHUNK), payloads(2));
    const files = await openFiles(base);
    await files.writeChunk(KEY, TENSOR, BYTES);
    const [first = '', second = ''] = dataFiles(base[1] ?? '');
    writeFileSync(first, readFileSync(first).subarray(0, 5000));
    writeFileSync(second, 'no chunk');
    mkdirSync(join(base[0] ?? '', 'aa', 'directory.kvcache.safetensors'), { recursive: true });
    writeFileSync(join(base[0] ?? '', 'aa', 'directory.kvcache.safetensors', 'too-deep'), '');
    writeFileSync(join(base[0] ?? '', '.kvo-1-2-3-4.tmp'), '');

    const chunks = await listed(files);
    expect(chunks).toHaveLength(3);
    const by = (path: string) => chunks.find((chunk) => chunk.path === path);
    expect(by(first)).toMatchObject({ bytes: 904, dtype: 'BF16', problem: { code: 'KVO_CHUNK_CORRUPT' } });
    expect(by(second)).toMatchObject({ bytes: 0, sums: false, problem: { code: 'KVO_HEADER_INVALID' } });
    expect(chunks.find((chunk) => chunk.key === KEY)).toMatchObject({ bytes: 60, shape: [2, 3, 5], sums: true });
  });

  it('goes through more chunks than one batch holds, some of which vanish meanwhile', async () => {
    const base = memoryDirectory();
    const engine = await openEngine({ base });
    const count = 1_200;
    await engine.store(tokens(count * CHUNK), payloads(count));
    expect(await listed(engine)).toHaveLength(count);
    expect(new Set((await listed(engine)).map((chunk) => chunk.bytes))).toEqual(new Set([CHUNK_BYTES]));

    let seen = 0;
    for await (const chunk of engine.listChunks()) {
      expect(chunk.problem).toBeUndefined();
      if (seen++ > 0) continue;
      for (const file of dataFiles(base).slice(0, 600)) unlinkSync(file);
      rmSync(dirname(dataFiles(base)[5] ?? ''), { recursive: true });
    }
    expect(seen).toBeGreaterThan(0);
    expect((await listed(engine)).length).toBeLessThanOrEqual(count - 601);
  });

  it('of nothing is nothing', async () => {
    expect(await listed(await openFiles(temporaryDirectory()))).toEqual([]);
  });
});
