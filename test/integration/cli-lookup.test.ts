/** `kv-offload lookup`: the cached prefix of a prompt, and where it ends. */
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { prefixDigests } from '../../src/hash/index.js';
import { encodeHeader } from '../../src/layout/index.js';
import { cli, cliJson, scratchDirectory } from './cli-process.js';

const TOKENS = [1, 2, 3, 4, 5, 6, 7];
const DIGESTS = prefixDigests(Uint32Array.from(TOKENS), 2, { saveUnfullChunk: true });
const HEADER = { dtype: 'BF16', shape: [2, 1, 2, 8], format: 1 } as const;
const BYTES = 2 * 1 * 2 * 8 * 2;

const scratch = scratchDirectory();
const prompt = (...bases: string[]) => [
  ...['--model', 'm', '--chunk-size', '2', '--save-unfull-chunk', '--seed', '0'],
  ...['--base', bases.map((name) => scratch.path(name)).join(',')],
];
const stdin = JSON.stringify(TOKENS);

interface Named {
  readonly start: number;
  readonly end: number;
  readonly key: string;
  readonly path: string;
}

let chunks: readonly Named[] = [];
beforeEach(async () => {
  await mkdir(scratch.path('a'));
  chunks = ((await cliJson(['keys', ...prompt('a')], { stdin })) as { chunks: Named[] }).chunks;
});

/** Writes the data file of a chunk as the library does, or as LMCache where `prefix` is undefined. */
async function write(index: number, base = 'a', prefix: string | undefined = DIGESTS[index]): Promise<string> {
  const { key, path } = chunks[index] ?? { key: '', path: '' };
  const file = path.replace(scratch.path('a'), scratch.path(base));
  await mkdir(dirname(file), { recursive: true });
  const { bytes } = encodeHeader(prefix === undefined ? HEADER : { ...HEADER, extras: { key, prefix } });
  await writeFile(file, Buffer.concat([bytes, Buffer.alloc(BYTES)]));
  return file;
}

describe('lookup', () => {
  it('finds the prefix up to the first chunk that is missing', async () => {
    await Promise.all([write(0), write(1), write(3)]);
    const [json, text] = await Promise.all([
      cliJson(['lookup', ...prompt('a')], { stdin }),
      cli(['lookup', ...prompt('a')], { stdin }),
    ]);
    const cached = chunks.slice(0, 2).map((chunk) => ({ ...chunk, bytes: BYTES, dtype: 'BF16', shape: HEADER.shape }));
    expect(json).toEqual({ tokens: 4, chunks: 4, cached });
    expect(text).toMatchObject({ code: 0, stdout: '4 of 7 tokens cached, 2 of 4 chunks\n', stderr: '' });
  });

  it('looks below every base path, and takes chunks that LMCache wrote', async () => {
    await mkdir(scratch.path('b'));
    await Promise.all([write(0, 'b', undefined), write(1, 'a'), write(2, 'b'), write(3, 'a')]);
    expect(await cliJson(['lookup', ...prompt('a', 'b')], { stdin })).toMatchObject({ tokens: 7, chunks: 4 });
  });

  it('exits 3 where nothing is cached, with an answer all the same', async () => {
    const { code, stdout, stderr } = await cli(['lookup', ...prompt('a'), '--json'], { stdin });
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ tokens: 0, chunks: 4, cached: [] });
  });

  it('stops at a file that is broken, and says so', async () => {
    await write(0);
    await truncate(await write(1), 4096 + 1);
    const [json, text] = await Promise.all([
      cliJson(['lookup', ...prompt('a')], { stdin }),
      cli(['lookup', ...prompt('a')], { stdin }),
    ]);
    expect(json).toMatchObject({ tokens: 2, problem: { code: 'KVO_CHUNK_CORRUPT', retriable: false } });
    expect(text).toMatchObject({ code: 0, stdout: '2 of 7 tokens cached, 1 of 4 chunks\n' });
    expect(text.stderr).toContain('[KVO_CHUNK_CORRUPT]');
  });

  it("does not take another prompt's chunk of the same name, but one from elsewhere", async () => {
    await write(0, 'a', '0'.repeat(64));
    const { code, stdout } = await cli(['lookup', ...prompt('a'), '--json'], { stdin });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ tokens: 0, problem: { code: 'KVO_CHUNK_COLLISION' } });
    await mkdir(scratch.path('b'));
    await write(0, 'b');
    expect(await cliJson(['lookup', ...prompt('a', 'b')], { stdin })).toMatchObject({ tokens: 2 });
  });

  it('does not mind a sidecar that differs', async () => {
    await writeFile(`${await write(0)}.metadata`, Buffer.alloc(4096));
    expect(await cliJson(['lookup', ...prompt('a')], { stdin })).toMatchObject({ tokens: 2 });
  });
});
