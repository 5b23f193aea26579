/** What a store leaves on disk: name, header, payload, sidecar (docs/on-disk-format.md). */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets } from '../support/engine.js';
import { TRANSPORT } from '../support/device-memory.js';
import {
  dataFiles,
  filesBelow,
  leftovers,
  linkCount,
  onlyDataFile,
  temporaryDirectory,
} from '../support/directories.js';
import { lmcacheHeader } from '../support/lmcache-files.js';
import { outcomesOf } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';
import { golden } from '../unit/golden.js';

/** A header's JSON. */
function headerOf(file: string): { kvcache: Record<string, unknown> & { __metadata__: Record<string, string> } } {
  const header = readFileSync(file).subarray(0, 4096);
  expect(header.readBigUInt64LE(0)).toBe(4088n);
  return JSON.parse(header.toString('latin1', 8)) as ReturnType<typeof headerOf>;
}

describe('the name of a file', () => {
  it.each(['sha256_cbor', 'builtin'] as const)(
    'carries the hash that LMCache gives the chunk, by %s',
    async (algorithm) => {
      const base = temporaryDirectory();
      const engine = await openEngine({
        base,
        env: { PYTHONHASHSEED: '0' },
        model: { modelName: 'meta-llama/Llama-3.1-8B', kvShape: [1, 2, 256, 1, 1] },
        settings: { chunk_size: 256, save_unfull_chunk: true, pre_caching_hash_algorithm: algorithm },
      });
      const prompt = golden.hash.inputs.llama1000;
      await engine.store(
        prompt,
        [256, 256, 256, 232].map((count) => new Uint8Array(count * 4)),
      );
      const hashes = (golden.hash.algorithms[algorithm]['llama1000/256'] as string[]).map(BigInt);
      const hex = (hash: bigint) => (hash < 0n ? `-${(-hash).toString(16)}` : hash.toString(16));
      const expected = hashes.map((hash) => {
        const decimal = hash.toString();
        const name = `meta-llama%2FLlama-3.1-8B%401%400%40${hex(hash)}%40bfloat16.kvcache.safetensors`;
        return `${decimal.slice(0, 2)}/${decimal.slice(2, 4)}/${name}`;
      });
      expect(dataFiles(base).map((file) => relative(base, file))).toEqual(expected.sort());
    },
  );
});

describe('a data file', () => {
  it('is a header of 4096 bytes and the payload, nothing more', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(CHUNK), payloads(1));
    const file = readFileSync(onlyDataFile(base));
    expect(file.byteLength).toBe(4096 + CHUNK_BYTES);
    expect(file.subarray(4096)).toEqual(Buffer.from(payloads(1)[0] ?? []));
  });

  it('describes the chunk as LMCache does, and beside it what we verify', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(2 * CHUNK), payloads(2).slice(1), { skipTokens: CHUNK });
    const file = onlyDataFile(base);
    const { __metadata__: metadata, ...kvcache } = headerOf(file).kvcache;
    expect(kvcache).toEqual({ dtype: 'BF16', shape: [2, 2, CHUNK, 16], data_offsets: [0, CHUNK_BYTES], fmt: 1 });

    const hash = /%40([0-9a-f]+)%40bfloat16/.exec(basename(file))?.[1] ?? '';
    const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
    // Canonical CBOR of the tokens 0…15 and 16…31, spelled by hand.
    const first = Buffer.from([0x90, ...tokens(CHUNK)]);
    const second = Buffer.from([
      0x90,
      ...tokens(2 * CHUNK)
        .slice(CHUNK)
        .flatMap((token) => (token < 24 ? [token] : [0x18, token])),
    ]);
    const start = sha256(Buffer.from('kv-offload prefix 1'));
    const prefix = sha256(Buffer.concat([sha256(Buffer.concat([start, first])), second]));
    expect(metadata).toEqual({
      lmcache_version: '1',
      kv_offload_version: '1',
      kv_offload_key: `org/small@1@0@${hash}@bfloat16`,
      kv_offload_chunk: '1',
      kv_offload_prefix: prefix.toString('hex'),
      kv_offload_sum_block: String(4 * 2 ** 20),
      kv_offload_sums: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    });
  });

  it('has one sum a block of 4 MiB, different ones for different blocks', async () => {
    const base = temporaryDirectory();
    const kvShape = [1, 2, CHUNK, 9, 16 * 1024] as const; // 9 MiB
    const engine = await openEngine({ base, model: { kvShape }, settings: { cufile_buffer_size: 16 } });
    const source = payload(1, 9 * 2 ** 20);
    await engine.store(tokens(CHUNK), [source]);
    const sums = headerOf(onlyDataFile(base)).kvcache.__metadata__['kv_offload_sums'] ?? '';
    expect(sums).toMatch(/^[0-9a-f]{48}$/);
    expect(new Set([sums.slice(0, 16), sums.slice(16, 32), sums.slice(32)]).size).toBe(3);
    expect(outcomesOf(await engine.retrieve(tokens(CHUNK), targets(1, source.byteLength)))).toEqual(['hit']);
  });

  it('is as LMCache spells it where sums, key and prefix are taken out', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(CHUNK), payloads(1));
    const file = onlyDataFile(base);
    const { lmcache_version: _, ...metadata } = headerOf(file).kvcache.__metadata__;
    const spelled = lmcacheHeader({ dtype: 'BF16', shape: [2, 2, CHUNK, 16], bytes: CHUNK_BYTES, fmt: 1, metadata });
    expect(readFileSync(file).subarray(0, 4096)).toEqual(spelled);
  });
});

describe('a sidecar', () => {
  it('is the data file under a second name', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(CHUNK), payloads(1));
    const file = onlyDataFile(base);
    expect(statSync(`${file}.metadata`).ino).toBe(statSync(file).ino);
    expect(linkCount(file)).toBe(2);
    expect((await engine.readChunk({ path: file })).verified).toBe(true);
  });

  it('is a file of its own, the header, where hard links are refused', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: 'link:EPERM' });
    if (TRANSPORT === 'host') expect(engine.paths[0]?.linksRefused).toBe('EPERM');
    expect(outcomesOf(await engine.store(tokens(CHUNK), payloads(1)))).toEqual(['stored']);
    const file = onlyDataFile(base);
    expect(linkCount(file)).toBe(1);
    expect(readFileSync(`${file}.metadata`)).toEqual(readFileSync(file).subarray(0, 4096));
    expect(outcomesOf(await engine.store(tokens(CHUNK), payloads(1, 5)))).toEqual(['exists']);
    expect(outcomesOf(await engine.retrieve(tokens(CHUNK), targets(1)))).toEqual(['hit']);
    expect(leftovers(base)).toEqual([]);
  });
});

describe('a store', () => {
  it('leaves data files and sidecars, and nothing else', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(tokens(20 * CHUNK), payloads(20));
    await engine.store(tokens(20 * CHUNK), payloads(20));
    expect(dataFiles(base)).toHaveLength(20);
    expect(filesBelow(base)).toHaveLength(40);
    expect(dataFiles(base).every((file) => existsSync(`${file}.metadata`))).toBe(true);
  });

  it('may be told to reach the disk first', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, own: { sync: true }, faults: 'fsync:EIO@2' });
    const result = await engine.store(tokens(2 * CHUNK), payloads(2));
    expect(outcomesOf(result).sort()).toEqual(['failed', 'stored']);
    expect(result.chunks.find((chunk) => chunk.error)?.error).toMatchObject({ code: 'KVO_IO' });
    expect(dataFiles(base)).toHaveLength(1);
  });
});
