/** `kv-offload keys`: golden hashes, paths, settings, and every way to give tokens. */
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { golden } from '../unit/golden.js';
import { cli, cliError, cliJson, filesBelow, scratchDirectory } from './cli-process.js';

interface Keys {
  readonly chunks: readonly { start: number; end: number; hash: string; key: string; path: string }[];
}

const scratch = scratchDirectory();
const keys = async (args: readonly string[], stdin: string, env: NodeJS.ProcessEnv = {}): Promise<Keys> =>
  (await cliJson(['keys', '--model', 'm', ...args], { stdin, env })) as Keys;

describe('what keys prints', () => {
  it.each(['sha256_cbor', 'builtin'] as const)("has LMCache's hashes of %s", async (algorithm) => {
    const args = ['--seed', '0', '--algorithm', algorithm, '--save-unfull-chunk'];
    const vectors = golden.hash.algorithms[algorithm];
    const { llama1000, edges } = golden.hash.inputs;
    const [llama, small] = await Promise.all([
      keys(args, JSON.stringify(llama1000)),
      keys([...args, '--chunk-size', '4'], edges.join(' ')),
    ]);
    expect(llama.chunks.map(({ hash }) => hash)).toEqual(vectors['llama1000/256']);
    expect(small.chunks.map(({ hash }) => hash)).toEqual(vectors['edges/4']);
    expect(llama.chunks.map(({ start, end }) => [start, end])).toEqual([
      [0, 256],
      [256, 512],
      [512, 768],
      [768, 1000],
    ]);
  });

  it('has all of a chunk, and nothing else, in JSON', async () => {
    expect(await keys(['--chunk-size', '4', '--seed', '0'], '1 2 3 4 5')).toEqual({
      chunks: [
        {
          start: 0,
          end: 4,
          hash: expect.stringMatching(/^[0-9]+$/) as string,
          key: expect.stringMatching(/^m@1@0@[0-9a-f]+@bfloat16$/) as string,
          path: expect.stringMatching(/^\d\d\/\d\d\/m%401%400%40[0-9a-f]+%40bfloat16\.kvcache\.safetensors$/) as string,
        },
      ],
    });
  });

  it('has the key and hash agree, and the path follow from them', async () => {
    const { chunks } = await keys(['--chunk-size', '1', '--base', '/mnt/weka', '--fstype', 'wekafs'], '7,8');
    for (const { hash, key, path } of chunks) {
      expect(BigInt(`0x${key.split('@')[3] ?? ''}`)).toBe(BigInt(hash));
      expect(path).toBe(`/mnt/weka/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${encodeURIComponent(key)}.weka1`);
    }
    expect(chunks).toHaveLength(2);
  });

  it('prints a table without --json', async () => {
    const { code, stdout } = await cli(['keys', '--model', 'm', '--chunk-size', '2'], { stdin: '1 2 3 4' });
    const lines = stdout.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^start +end +hash +key +path$/);
    expect(lines[2]).toMatch(/^ +2 +4 +[0-9]+ +m@1@0@[0-9a-f]+@bfloat16 +\S+$/);
  });

  it('spells ranks, any name of a dtype, and tags in order', async () => {
    const args = ['--world-size', '8', '--worker-id', '3', '--tag', 'user=bob', '--tag', 'n=a=b', '--chunk-size', '1'];
    const printed = await Promise.all(['half', 'F16'].map((dtype) => keys([...args, '--dtype', dtype], '1')));
    for (const { chunks } of printed) expect(chunks[0]?.key).toMatch(/^m@8@3@[0-9a-f]+@half@user%bob@n%a=b$/);
  });

  it('has no chunk for fewer tokens than one', async () => {
    expect(await keys([], '1 2 3')).toEqual({ chunks: [] });
  });
});

describe('tokens', () => {
  it('may be a JSON array or a text, from a file or standard input', async () => {
    await writeFile(scratch.path('json'), '[1, 2,\n3,4]\n');
    await writeFile(scratch.path('text'), '1 2,3\n4,\n');
    const args = ['--chunk-size', '2'];
    const [first, ...others] = await Promise.all([
      keys(args, '1\t2\r\n3 , 4'),
      keys([...args, '--tokens', '-'], '[1,2,3,4]'),
      keys([...args, '--tokens', scratch.path('json')], ''),
      keys([...args, '--tokens', scratch.path('text')], ''),
    ]);
    expect(first.chunks).toHaveLength(2);
    for (const other of others) expect(other).toEqual(first);
  });

  it('are refused with the place of the first bad one', async () => {
    const args = ['keys', '--model', 'm', '--chunk-size', '1'];
    const message = await cliError(2, 'KVO_TOKENS_INVALID', args, { stdin: '[1,-2]' });
    expect(message).toBe('standard input: token 1 is -2; tokens are integers from 0 to 2^53 - 1');
  });

  it('are refused where there is no such file, or a directory', async () => {
    const args = ['keys', '--model', 'm', '--tokens'];
    const missing = await cliError(2, 'KVO_ARGUMENT_INVALID', [...args, scratch.path('none')]);
    expect(missing).toBe(`cannot read ${scratch.path('none')}: it does not exist`);
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...args, scratch.path()])).toContain('it is a directory');
  });
});

describe('settings', () => {
  const env = {
    LMCACHE_CHUNK_SIZE: '2',
    LMCACHE_WEKA_PATH: '/mnt/a,/mnt/b',
    LMCACHE_SAVE_UNFULL_CHUNK: 'true',
    LMCACHE_PRE_CACHING_HASH_ALGORITHM: 'builtin',
    KV_OFFLOAD_DEVICE_INDEX: '1',
    PYTHONHASHSEED: '7',
  };

  it('come from the environment', async () => {
    const [given, same] = await Promise.all([
      keys([], '1 2 3', env),
      keys(
        ['--chunk-size', '2', '--save-unfull-chunk', '--algorithm', 'builtin', '--seed', '7', '--base', '/mnt/b'],
        '1 2 3',
      ),
    ]);
    expect(given).toEqual(same);
    expect(given.chunks.map(({ path }) => path.slice(0, 7))).toEqual(['/mnt/b/', '/mnt/b/']);
  });

  it('yield to options', async () => {
    const args = ['--chunk-size', '1', '--no-save-unfull-chunk', '--algorithm', 'sha256_cbor', '--seed', '0'];
    const [over, alone] = await Promise.all([
      keys([...args, '--base', '/x'], '1 2 3', env),
      keys([...args, '--base', '/x'], '1 2 3'),
    ]);
    expect(over).toEqual(alone);
    expect(over.chunks).toHaveLength(3);
  });

  it("have builtin follow the other side's Python", async () => {
    const args = ['--algorithm', 'builtin', '--seed', '0', '--chunk-size', '1'];
    const [older, newer] = await Promise.all(
      ['3.10', '3.12'].map((version) => keys([...args, '--python-version', version], '1')),
    );
    expect(older).not.toEqual(newer);
  });

  it('of a bad value are refused by their option', async () => {
    const bad = (...option: string[]) => ['keys', '--model', 'm', ...option];
    const chunkSize = await cliError(2, 'KVO_CONFIG_INVALID_VALUE', bad('--chunk-size', '0'));
    expect(chunkSize).toBe('--chunk-size: chunk_size is "0"; expected an integer, at least 1.');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', bad('--worker-id', '-1'))).toContain('--worker-id is "-1"');
  });

  it('that cannot be keys are refused', async () => {
    const withModel = (...args: string[]) => ['keys', '--chunk-size', '1', '--model', ...args];
    const stdin = '1';
    expect(await cliError(2, 'KVO_DTYPE_UNKNOWN', withModel('m', '--dtype', 'bf17'), { stdin })).toContain('BF16');
    await Promise.all([
      cliError(2, 'KVO_KEY_INVALID', withModel('m@x'), { stdin }),
      cliError(2, 'KVO_KEY_TOO_LONG', withModel('m'.repeat(250)), { stdin }),
    ]);
  });

  it('that are broken in the environment are refused', async () => {
    await cliError(2, 'KVO_CONFIG_FILE', ['keys', '--model', 'm'], {
      env: { LMCACHE_CONFIG_FILE: scratch.path('no') },
    });
  });
});

describe('what keys leaves alone', () => {
  it('makes no cache directory, and nothing in one', async () => {
    await mkdir(scratch.path('there'));
    await Promise.all(
      ['there', 'missing'].map((name) => keys(['--base', scratch.path(name), '--chunk-size', '1'], '1')),
    );
    expect(await filesBelow(scratch.path())).toEqual([]);
    await expect(mkdir(scratch.path('missing'))).resolves.toBeUndefined();
  });

  it('needs no addon, but for builtin', async () => {
    const env = { KV_OFFLOAD_ADDON: scratch.path('none.node') };
    const args = ['keys', '--model', 'm', '--chunk-size', '1'];
    expect(await cliJson(args, { stdin: '1', env })).toEqual(await cliJson(args, { stdin: '1' }));
    await cliError(1, 'KVO_NATIVE_MISSING', [...args, '--algorithm', 'builtin'], { stdin: '1', env });
  });
});
