/**
 * The released LMCache and ours on one directory. Run by `npm run test:interop`, which brings the Python; elsewhere it
 * says that it was skipped.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { isMemoryFormat, shapeBytes } from '../../src/layout/index.js';
import { ChunkFiles } from '../../src/store/chunk-files.js';
import { PYTHON, Peer, type PeerChunk } from './peer.js';
import { randomBytes, randomChunks } from './random-chunks.js';

const COUNT = 600;

if (PYTHON === undefined) console.warn('SKIPPED: the real LMCache; npm run test:interop sets it up and runs this');

describe.skipIf(PYTHON === undefined)('a directory shared with LMCache 0.5.6', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kv-offload-interop-'));
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  let peer: Peer;
  let files: ChunkFiles;

  beforeAll(async () => {
    peer = new Peer(PYTHON ?? '');
    await peer.ask('open', { path: directory });
    files = await ChunkFiles.open(await loadConfig({ env: {}, overrides: { gds_path: directory } }));
  }, 120_000);

  afterAll(async () => {
    peer.close();
    await files.close();
    rmSync(directory, { recursive: true });
  });

  const write = async (chunk: PeerChunk): Promise<string> => {
    if (!isMemoryFormat(chunk.fmt)) throw new Error(`no format ${chunk.fmt}`);
    const bytes = randomBytes(shapeBytes(chunk.shape, chunk.dtype), chunk.seed);
    const { dtype, shape, fmt: format } = chunk;
    expect(await files.writeChunk(chunk.key, { dtype, shape, format }, bytes)).toBe('stored');
    return sha256(bytes);
  };

  it(`loads ${COUNT} chunks of ours, byte for byte`, { timeout: 120_000 }, async () => {
    const chunks = randomChunks(COUNT, 1, 0);
    const sums: string[] = [];
    for (const chunk of chunks) sums.push(await write(chunk));
    const loads = await peer.ask('load', { keys: chunks.map((chunk) => chunk.key) });
    for (const [i, chunk] of chunks.entries()) {
      const { shape, dtype, fmt } = chunk;
      expect(loads[i], chunk.key).toEqual({ hit: true, shape, dtype, fmt, sha256: sums[i] });
    }
  });

  it(`writes ${COUNT} chunks that ours reads, byte for byte`, { timeout: 120_000 }, async () => {
    const chunks = randomChunks(COUNT, 2, 1);
    const stored = await peer.ask('store', { chunks });
    for (const [i, chunk] of chunks.entries()) {
      const read = await files.readChunk({ key: chunk.key });
      expect(read.path).toBe(stored[i]?.path);
      expect([...read.shape], chunk.key).toEqual(chunk.shape);
      expect(read.format).toBe(chunk.fmt);
      expect(sha256(read.bytes), chunk.key).toBe(stored[i]?.sha256);
      expect(read.verified).toBe(false);
    }
  });

  it('finds all of ours at its start, and ours lists all of its', { timeout: 120_000 }, async () => {
    const listed: string[] = [];
    for await (const chunk of files.listChunks()) {
      expect(chunk.problem).toBeUndefined();
      listed.push(chunk.key ?? chunk.path);
    }
    const expected = [...randomChunks(COUNT, 1, 0), ...randomChunks(COUNT, 2, 1)].map((chunk) => chunk.key).sort();
    expect(listed.sort()).toEqual(expected);
    // Its scan enters directories of two characters only, so it misses hashes of fewer than four digits, its own too.
    const scannable = expected.filter((key) => /^-?\d{2}\d{2}/.test(decimalOf(key)) && decimalOf(key).length >= 4);
    const scanned = await peer.ask('scan');
    expect(scanned.filter((key) => scannable.includes(key)).sort()).toEqual(scannable);
  });

  it('writes the directory at the same time as ours', { timeout: 120_000 }, async () => {
    const theirs = randomChunks(200, 3, 2);
    const ours = randomChunks(200, 4, 3);
    const [stored, sums] = await Promise.all([peer.ask('store', { chunks: theirs }), Promise.all(ours.map(write))]);
    const loads = await peer.ask('load', { keys: ours.map((chunk) => chunk.key) });
    expect(loads.map((load) => load.sha256)).toEqual(sums);
    for (const [i, chunk] of theirs.entries()) {
      expect(sha256((await files.readChunk({ key: chunk.key })).bytes)).toBe(stored[i]?.sha256);
    }
  });

  it.each(['lmcache.yaml', 'kv-offload.yaml'])('takes %s of our examples, and means the same by it', async (name) => {
    const file = fileURLToPath(new URL(`../../examples/share-with-lmcache/${name}`, import.meta.url));
    const [theirs, ours] = [await peer.ask('config', { file }), await loadConfig({ env: {}, file })];
    expect(theirs).toMatchObject({
      chunk_size: ours.chunkSize,
      gds_path: ours.paths.join(','),
      gds_buffer_size: ours.bufferMiB,
      pre_caching_hash_algorithm: ours.preCachingHashAlgorithm,
      extra_config: { disk_io_threads: ours.ioThreads },
    });
  });

  it('and ours agree that a chunk of both exists, whoever wrote it', { timeout: 120_000 }, async () => {
    const [mine, its] = [randomChunks(20, 5, 4), randomChunks(20, 6, 5)];
    for (const chunk of mine) await write(chunk);
    await peer.ask('store', { chunks: its });
    for (const chunk of its) {
      if (!isMemoryFormat(chunk.fmt)) throw new Error(`no format ${chunk.fmt}`);
      const bytes = new Uint8Array(shapeBytes(chunk.shape, chunk.dtype));
      const { dtype, shape, fmt: format } = chunk;
      expect(await files.writeChunk(chunk.key, { dtype, shape, format }, bytes)).toBe('exists');
    }
    const before = await peer.ask('load', { keys: mine.map((chunk) => chunk.key) });
    expect(before.every((load) => load.hit)).toBe(true);
  });
});

/** A key's hash in decimal, as directories are named after it. */
function decimalOf(key: string): string {
  const hex = key.split('@')[3] ?? '';
  return (hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)).toString();
}
