/** `kv-offload put`, `ls`, `inspect` and `get`: bytes into the cache and back, and what must not happen to files. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChunkFiles, loadConfig } from '../../src/index.js';
import { encodeHeader } from '../../src/layout/index.js';
import { cli, cliError, cliJson, filesBelow, finished, scratchDirectory, start } from './cli-process.js';

const KEY = 'meta-llama/Llama-3.1-8B@1@0@522558a1570001db@bfloat16';
const OTHER_KEY = KEY.replace('@522', '@622');
const STEM = `59/19/${encodeURIComponent(KEY)}.kvcache.safetensors`;
const TENSOR = ['--dtype', 'bfloat16', '--shape', '2,3,4,8'];
const BYTES = 2 * 3 * 4 * 8 * 2;
const HEADER = { dtype: 'BF16', shape: [2, 3, 4, 8], format: 1 } as const;

const scratch = scratchDirectory();
const base = () => scratch.path('cache');
const at = (key = KEY) => ['--base', base(), '--key', key];

/** A chunk in the cache, written by the library: its bytes and its file. */
async function stored(): Promise<{ bytes: Buffer; path: string }> {
  const bytes = randomBytes(BYTES);
  const files = await ChunkFiles.open(await loadConfig({ env: {}, overrides: { gds_path: base() } }));
  await files.writeChunk(KEY, HEADER, bytes);
  await files.close();
  return { bytes, path: join(base(), STEM) };
}

/** A data file as LMCache would have written it, without a sidecar. */
async function foreign(path: string, payload: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.concat([encodeHeader(HEADER).bytes, payload]));
}

/** Changes one byte of a file in place, so in its sidecar of the same inode too. */
async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, offset);
  await file.close();
}

describe('a chunk', () => {
  it('goes in, is listed and inspected, and comes back byte for byte', async () => {
    const bytes = randomBytes(BYTES);
    await writeFile(scratch.path('in'), bytes);
    const path = join(base(), STEM);
    const put = await cliJson(['put', ...at(), ...TENSOR, scratch.path('in')]);
    expect(put).toEqual({ outcome: 'stored', key: KEY, path, bytes: BYTES });

    const [listed, inspected, piped, got] = await Promise.all([
      cliJson(['ls', '--base', base()]),
      cliJson(['inspect', path, '--verify']),
      cli(['get', ...at()]),
      cliJson(['get', ...at(), '-o', scratch.path('out')]),
    ]);
    expect(listed).toEqual({
      chunks: [{ key: KEY, generation: '0.4.3-0.5.6', path, bytes: BYTES, ...HEADER, sums: true }],
    });
    expect(inspected).toEqual({
      path,
      key: KEY,
      generation: '0.4.3-0.5.6',
      fileBytes: 4096 + BYTES,
      header: {
        kind: 'json',
        ...HEADER,
        payloadBytes: BYTES,
        extras: { key: KEY, sumBlock: 4 * 2 ** 20, sums: [expect.stringMatching(/^[0-9a-f]{16}$/)] },
      },
      sidecar: 'hard link',
      verified: true,
      problems: [],
    });
    expect(piped).toMatchObject({ code: 0, bytes, stderr: '' });
    expect(got).toEqual({ key: KEY, path, output: scratch.path('out'), bytes: BYTES, ...HEADER, verified: true });
    expect(await readFile(scratch.path('out'))).toEqual(bytes);
    expect(await filesBelow(scratch.path())).toEqual([`cache/${STEM}`, `cache/${STEM}.metadata`, 'in', 'out']);
  });

  it('that exists stays as it is, unless it is replaced', async () => {
    const { bytes, path } = await stored();
    const again = randomBytes(BYTES);
    const exists = await cli(['put', ...at(), ...TENSOR, '-'], { stdin: again });
    expect(exists).toMatchObject({ code: 0, stdout: `exists ${path}\n`, stderr: '' });
    expect((await readFile(path)).subarray(4096)).toEqual(bytes);
    const replaced = await cliJson(['put', ...at(), ...TENSOR, '--replace', '-'], { stdin: again });
    expect(replaced).toMatchObject({ outcome: 'stored' });
    expect((await readFile(path)).subarray(4096)).toEqual(again);
  });

  it('has one file, however its key is spelled', async () => {
    const spelled = KEY.replace('@522558a1570001db@', '@0x522558A1570001DB@');
    expect(await cliJson(['put', ...at(spelled), ...TENSOR, '-'], { stdin: randomBytes(BYTES) })).toMatchObject({
      key: KEY,
    });
    expect(await cliJson(['inspect', join(base(), STEM)])).toMatchObject({ problems: [] });
    expect(await cliJson(['get', ...at(spelled), '-o', scratch.path('out')])).toMatchObject({ key: KEY });
  });

  it('has the format that is asked for', async () => {
    const args = ['put', ...at(), '--dtype', 'U8', '--shape', '[4]', '--fmt', '5', '-'];
    await cliJson(args, { stdin: 'abcd' });
    expect(await cliJson(['ls', '--base', base()])).toMatchObject({ chunks: [{ dtype: 'U8', shape: [4], format: 5 }] });
  });

  it('is found without options where the settings name the cache', async () => {
    const { bytes } = await stored();
    const env = { LMCACHE_WEKA_PATH: base() };
    expect(await cli(['get', '--key', KEY], { env })).toMatchObject({ code: 0, bytes });
    expect(await cli(['ls'], { env })).toMatchObject({ code: 0, stdout: `${KEY}\n` });
  });
});

describe('put refuses, and makes nothing for,', () => {
  const put = (...args: string[]) => ['put', '--base', base(), ...args];
  const withKey = (...args: string[]) => put('--key', KEY, ...args);

  it('input of another size than shape and dtype take', async () => {
    await writeFile(scratch.path('in'), randomBytes(BYTES + 1));
    const of = (file: string, bytes = 0) =>
      cliError(2, 'KVO_SHAPE_MISMATCH', withKey(...TENSOR, file), { stdin: randomBytes(bytes) });
    const [file, short, long] = await Promise.all([of(scratch.path('in')), of('-', BYTES - 1), of('-', BYTES + 1)]);
    expect(file).toBe(`${scratch.path('in')} has ${BYTES + 1} bytes, but BF16 [2, 3, 4, 8] takes ${BYTES}`);
    expect(short).toContain(`standard input has ${BYTES - 1} bytes`);
    expect(long).toContain('standard input has more');
    expect(await filesBelow(base())).toEqual([]);
  });

  it('a missing file, and a directory for one', async () => {
    const [missing, directory] = await Promise.all(
      [scratch.path('none'), scratch.path()].map((file) =>
        cliError(2, 'KVO_ARGUMENT_INVALID', withKey(...TENSOR, file)),
      ),
    );
    expect(missing).toContain('it does not exist');
    expect(directory).toContain('it is a directory');
  });

  it('what no chunk can be', async () => {
    const refuse = (code: string, key: string, dtype: string, shape: string) =>
      cliError(2, code, put('--key', key, '--dtype', dtype, '--shape', shape, '-'), { stdin: 'abcd' });
    await Promise.all([
      refuse('KVO_DTYPE_UNKNOWN', KEY, 'BF61', '4'),
      refuse('KVO_ARGUMENT_INVALID', KEY, 'U8', '2,0'),
      refuse('KVO_SHAPE_MISMATCH', KEY, 'U8', '9007199254740991,2'),
      refuse('KVO_KEY_INVALID', 'no key', 'U8', '4'),
      refuse('KVO_KEY_TOO_LONG', `${'m'.repeat(240)}@1@0@a@half`, 'U8', '4'),
    ]);
    expect(await filesBelow(base())).toEqual([]);
    await expect(stat(base())).rejects.toThrow('ENOENT');
  });

  it('a base that is a file, or cannot be written', async () => {
    await writeFile(base(), '');
    await cliError(2, 'KVO_PATH_UNUSABLE', withKey('--dtype', 'U8', '--shape', '4', '-'), { stdin: 'abcd' });
    // Nobody can make a file there, root included.
    const sealed = ['put', '--base', '/sys', '--key', KEY, '--dtype', 'U8', '--shape', '4', '-'];
    const { code, stdout, stderr } = await cli(sealed, { stdin: 'abcd' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^kv-offload: .* \[KVO_(PERMISSION|READ_ONLY)\]\n$/);
  });

  it('silence about where the cache is', async () => {
    const args = ['put', '--key', KEY, '--dtype', 'U8', '--shape', '4', '-'];
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', args, { stdin: 'abcd' })).toContain('--base');
  });
});

describe('a cache directory that is missing, or a file,', () => {
  it('is bad input to what only reads, and is not made', async () => {
    await writeFile(scratch.path('file'), '');
    const refuse = (name: string, command: string, ...args: string[]) =>
      cliError(2, 'KVO_PATH_UNUSABLE', [command, '--base', scratch.path(name), ...args], { stdin: '1' });
    const messages = await Promise.all([
      refuse('missing', 'ls'),
      refuse('missing', 'get', '--key', KEY, '-o', scratch.path('out')),
      refuse('missing', 'lookup', '--model', 'm', '--chunk-size', '1'),
      refuse('file', 'ls'),
    ]);
    for (const message of messages.slice(0, 3)) expect(message).toContain(`${scratch.path('missing')} does not exist`);
    expect(messages[3]).toContain(`${scratch.path('file')} is no directory`);
    await expect(stat(scratch.path('missing'))).rejects.toThrow('ENOENT');
  });
});

describe('get', () => {
  it('exits 3 on a miss, and makes no file', async () => {
    await mkdir(base());
    expect(await cliError(3, 'KVO_NOT_FOUND', ['get', ...at(), '-o', scratch.path('out')])).toContain(STEM);
    expect(await filesBelow(scratch.path())).toEqual([]);
  });

  it('leaves the file that was there where the chunk is corrupt', async () => {
    const { path } = await stored();
    await flip(path, 4096 + 100);
    await writeFile(scratch.path('out'), 'before');
    const message = await cliError(1, 'KVO_CHUNK_CORRUPT', ['get', ...at(), '-o', scratch.path('out')]);
    expect(message).toContain('block 0');
    expect(await readFile(scratch.path('out'), 'utf8')).toBe('before');
    const files = await filesBelow(scratch.path());
    expect(files.filter((name) => !name.startsWith('cache/'))).toEqual(['out']);
  });

  it('replaces a file through a symlink, with its permissions, and writes to a device as it is', async () => {
    const { bytes } = await stored();
    await writeFile(scratch.path('real'), 'before');
    await chmod(scratch.path('real'), 0o600);
    await symlink('real', scratch.path('link'));
    const device = await stat('/dev/null');
    const [link, nowhere] = await Promise.all(
      [scratch.path('link'), '/dev/null'].map((file) => cli(['get', ...at(), '-o', file])),
    );
    expect([link?.code, nowhere?.code]).toEqual([0, 0]);
    expect(await readFile(scratch.path('real'))).toEqual(bytes);
    expect((await stat(scratch.path('real'))).mode & 0o777).toBe(0o600);
    expect((await stat('/dev/null')).ino).toBe(device.ino);
  });

  it('refuses a place where no file can be', async () => {
    await mkdir(base());
    const to = (file: string) => cliError(2, 'KVO_ARGUMENT_INVALID', ['get', ...at(), '-o', file]);
    const [directory, nowhere, below] = await Promise.all([
      to(scratch.path()),
      to(scratch.path('none', 'out')),
      to('/dev/null/out'),
    ]);
    expect(directory).toContain('it is a directory');
    expect(nowhere).toContain('does not exist');
    expect(below).toContain('no directory');
  });

  it('refuses JSON and bytes on one stream, and a key that is none', async () => {
    await mkdir(base());
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', ['get', ...at()])).toContain('-o FILE');
    await cliError(2, 'KVO_KEY_INVALID', ['get', ...at('m@1@0@xyz@half')]);
  });

  it('fails where its output cannot be written', async () => {
    await stored();
    const full = await open('/dev/full', 'w');
    const [stdout, file] = await Promise.all([
      cli(['get', ...at()], { stdout: full.fd }),
      cli(['get', ...at(), '-o', '/dev/full']),
    ]);
    await full.close();
    expect(stdout).toMatchObject({
      code: 1,
      stderr: 'kv-offload: cannot write standard output: no space left [KVO_NO_SPACE]\n',
    });
    expect(file).toMatchObject({
      code: 1,
      stderr: 'kv-offload: cannot write /dev/full: no space left [KVO_NO_SPACE]\n',
    });
  });

  it('ends quietly when its reader does', async () => {
    await writeFile(scratch.path('in'), '');
    await truncate(scratch.path('in'), 8 * 2 ** 20);
    await cliJson(['put', ...at(), '--dtype', 'U8', '--shape', String(8 * 2 ** 20), scratch.path('in')]);
    const child = start(['get', ...at()]);
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await finished(child)).toMatchObject({ code: 0, signal: null, stderr: '' });
  });
});

describe('ls', () => {
  it('has nothing to say of an empty cache', async () => {
    await mkdir(base());
    expect(await cliJson(['ls', '--base', base()])).toEqual({ chunks: [] });
    expect(await cli(['ls', '--base', base()])).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it('lists what is broken with its reason, and what has no key by its path', async () => {
    const { path } = await stored();
    await foreign(join(base(), '12/34/no key.kvcache.safetensors'), Buffer.alloc(BYTES));
    await truncate(path, 4096 + 10);
    const nameless = join(base(), '12/34/no key.kvcache.safetensors');
    const [json, text, long] = await Promise.all([
      cliJson(['ls', '--base', base()]) as Promise<{ chunks: { path: string; problem?: unknown }[] }>,
      cli(['ls', '--base', base()]),
      cli(['ls', '--base', base(), '--long']),
    ]);
    const of = (file: string) => json.chunks.find((chunk) => chunk.path === file);
    expect(of(path)).toMatchObject({ key: KEY, bytes: 10, problem: { code: 'KVO_CHUNK_CORRUPT', retriable: false } });
    expect(of(nameless)).toEqual({ path: nameless, bytes: BYTES, ...HEADER, sums: false });
    expect(text.stdout.trimEnd().split('\n').sort()).toEqual([nameless, KEY].sort());
    expect(text).toMatchObject({
      code: 0,
      stderr: 'kv-offload: 1 of these files cannot be used; ls --long says why\n',
    });
    expect(long.stdout).toContain(`${BYTES}\tBF16\t2,3,4,8\t-\t-\t${nameless}\n`);
    expect(long.stderr).toContain('[KVO_CHUNK_CORRUPT]');
  });
});

describe('inspect', () => {
  const problemsOf = async (path: string, ...args: string[]) => {
    const { code, stdout } = await cli(['inspect', path, ...args, '--json']);
    const { problems, ...rest } = JSON.parse(stdout) as { problems: { code: string; message: string }[] };
    return { code, rest, problems: problems.map((problem) => `${problem.code} ${problem.message}`) };
  };

  it('reads as a table without --json', async () => {
    const { path } = await stored();
    const { code, stdout } = await cli(['inspect', '--verify', path]);
    expect(code).toBe(0);
    for (const line of [/^key +meta-llama\/.*@bfloat16$/m, /^shape +\[2, 3, 4, 8\]$/m, /^format +1 KV_2LTD$/m]) {
      expect(stdout).toMatch(line);
    }
    expect(stdout).toMatch(/^verified +yes/m);
    expect(stdout).toMatch(/^problems +none$/m);
  });

  it('finds nothing wrong with a chunk of LMCache, whose sums nobody knows', async () => {
    const path = join(base(), STEM);
    await foreign(path, Buffer.alloc(BYTES));
    const { code, rest, problems } = await problemsOf(path, '--verify');
    expect({ code, problems }).toEqual({ code: 0, problems: [] });
    expect(rest).toMatchObject({ key: KEY, sidecar: 'missing', verified: false, header: HEADER });
  });

  it('takes a sidecar for its chunk', async () => {
    const { path } = await stored();
    expect((await problemsOf(`${path}.metadata`)).rest).toMatchObject({ path, sidecar: 'hard link' });
  });

  it('exits 1 where the payload is not what was stored, though only where it is asked to look', async () => {
    const { path } = await stored();
    await flip(path, 4096 + BYTES - 1);
    const [looked, not] = await Promise.all([problemsOf(path, '--verify'), problemsOf(path)]);
    expect(looked).toMatchObject({ code: 1, rest: { verified: false } });
    expect(looked.problems).toEqual([expect.stringMatching(/^KVO_CHUNK_CORRUPT .*block 0/)]);
    expect(not).toMatchObject({ code: 0, problems: [] });
  });

  it('exits 1 where size, name or sidecar do not agree with the header', async () => {
    const { path } = await stored();
    const renamed = path.replace('522558', '622558');
    await rm(`${path}.metadata`);
    await writeFile(`${renamed}.metadata`, Buffer.alloc(4096));
    await rename(path, renamed);
    await truncate(renamed, 4096);
    const { code, rest, problems } = await problemsOf(renamed);
    expect({ code, rest }).toMatchObject({ code: 1, rest: { key: OTHER_KEY, fileBytes: 4096, sidecar: 'differs' } });
    expect(problems).toEqual([
      expect.stringContaining(`the file has 4096 bytes, its header says ${4096 + BYTES}`),
      expect.stringContaining(`the file's name is that of ${OTHER_KEY}`),
      expect.stringContaining('its sidecar has another header'),
    ]);
  });

  it('exits 1 for a file that is no chunk, 2 for what is no file, 3 where there is nothing', async () => {
    await writeFile(scratch.path('x'), 'hello, no chunk');
    const { code, rest, problems } = await problemsOf(scratch.path('x'));
    expect({ code, rest }).toEqual({ code: 1, rest: { path: scratch.path('x'), fileBytes: 15, sidecar: 'missing' } });
    expect(problems).toEqual([expect.stringContaining('KVO_HEADER_INVALID')]);
    await Promise.all([
      cliError(2, 'KVO_ARGUMENT_INVALID', ['inspect', scratch.path()]),
      cliError(2, 'KVO_ARGUMENT_INVALID', ['inspect', '/dev/zero']),
      cliError(3, 'KVO_NOT_FOUND', ['inspect', scratch.path('none')]),
    ]);
  });
});
