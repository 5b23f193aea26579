/** The command line as a whole: help, usage errors, `config`, `demo`, and being stopped. */
import { readFileSync } from 'node:fs';
import { mkdir, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { cli, cliError, cliJson, filesBelow, finished, scratchDirectory, start } from './cli-process.js';

const scratch = scratchDirectory();

describe('help and usage', () => {
  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('helps with commands, exit codes and examples', async () => {
    const [all, one] = await Promise.all([cli(['--help']), cli(['put', '--help'])]);
    expect(all).toMatchObject({ code: 0, stderr: '' });
    for (const command of [
      'keys',
      'lookup',
      'put',
      'get',
      'ls',
      'inspect',
      'config',
      'demo',
      'bench',
      'doctor',
      'probe',
      'mounts',
      'cufile-json',
    ]) {
      expect(all.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
    for (const text of ['Exit codes:', '3  miss', 'Examples:', '{"error":']) expect(all.stdout).toContain(text);
    expect(one).toMatchObject({ code: 0, stderr: '' });
    for (const text of ['--shape', 'JSON: {"outcome"', 'Example:']) expect(one.stdout).toContain(text);
  });

  it('prints its help as a complaint where no command is given', async () => {
    const { code, stdout, stderr } = await cli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: kv-offload');
  });

  it('takes a wrong command line for bad input', async () => {
    const wrong = (...args: string[]) => cliError(2, 'KVO_ARGUMENT_INVALID', args);
    const [command, option, missing, tooMany] = await Promise.all([
      wrong('kees'),
      wrong('ls', '--bose', 'x'),
      wrong('put', 'file'),
      wrong('config', 'x'),
    ]);
    expect(command).toContain("unknown command 'kees' (Did you mean keys?)");
    expect(option).toContain("unknown option '--bose' (Did you mean --base?)");
    expect(missing).toContain("required option '--key <key>' not specified");
    expect(tooMany).toContain('too many arguments');
  });

  it('tells errors in one line without --json', async () => {
    const { code, stdout, stderr } = await cli(['ls', '--base', scratch.path('none')]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^kv-offload: the directory \S+ does not exist.*\[KVO_PATH_UNUSABLE\]\n$/);
  });
});

describe('config', () => {
  const env = {
    LMCACHE_WEKA_PATH: '/mnt/weka/cache',
    LMCACHE_CHUNK_SIZE: '512',
    LMCACHE_REMOTE_URL: 'redis://user:secret@host',
  };

  it('tells every setting with its source, what is unused, and warnings, without cache and addon', async () => {
    const noAddon = { KV_OFFLOAD_ADDON: scratch.path('none.node') };
    const there = { ...env, ...noAddon, LMCACHE_WEKA_PATH: scratch.path('cache') };
    const json = (await cliJson(['config'], { env: there })) as {
      settings: { key: string }[];
      unused: unknown[];
      warnings: string[];
    };
    const row = (key: string) => json.settings.find((setting) => setting.key === key);
    expect(row('chunk_size')).toEqual({
      key: 'chunk_size',
      property: 'chunkSize',
      value: 512,
      source: 'environment LMCACHE_CHUNK_SIZE',
      status: 'active',
      doc: expect.any(String) as string,
    });
    expect(row('gds_path')).toMatchObject({ value: [scratch.path('cache')], source: 'environment LMCACHE_WEKA_PATH' });
    expect(row('save_unfull_chunk')).toMatchObject({ value: false, source: 'default' });
    expect(row('PYTHONHASHSEED')).toMatchObject({ value: null, source: 'default' });
    expect(json.unused).toEqual([
      { key: 'remote_url', value: 'redis://***@host', source: 'environment LMCACHE_REMOTE_URL' },
    ]);
    expect(json.warnings).toEqual([expect.stringContaining('pre_caching_hash_algorithm is not set')]);
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('reads as tables without --json', async () => {
    const { code, stdout, stderr } = await cli(['config'], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^chunk_size +512 +environment LMCACHE_CHUNK_SIZE$/m);
    expect(stdout).toMatch(/^PYTHONHASHSEED +not set +default$/m);
    expect(stdout).toMatch(/^Unused here:\nremote_url +redis:\/\/\*\*\*@host +environment LMCACHE_REMOTE_URL$/m);
    expect(stdout).toMatch(/^Warnings:\n.*pre_caching_hash_algorithm/m);
  });

  it('refuses a file that does not parse', async () => {
    await writeFile(scratch.path('x.yaml'), 'chunk_size: [');
    const message = await cliError(2, 'KVO_CONFIG_PARSE', ['config'], {
      env: { LMCACHE_CONFIG_FILE: scratch.path('x.yaml') },
    });
    expect(message).toContain(`${scratch.path('x.yaml')}:1:`);
  });
});

/** Waits until a directory holds something. */
async function untilFilled(directory: string): Promise<void> {
  while ((await filesBelow(directory)).length === 0) await setTimeout(5);
}

describe('being stopped', () => {
  it('ends demo by the signal, with its directory removed', async () => {
    const child = start(['demo', '--path', scratch.path()]);
    const end = finished(child);
    child.stdout?.once('data', () => child.kill('SIGTERM'));
    expect(await end).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('ends demo when nobody reads its story, with its directory removed', async () => {
    const child = start(['demo', '--path', scratch.path()]);
    const end = finished(child);
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await end).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('leaves a whole chunk or none of put', async () => {
    const bytes = 64 * 2 ** 20;
    await writeFile(scratch.path('in'), '');
    await truncate(scratch.path('in'), bytes);
    const name = '10/m%401%400%40a%40uint8.kvcache.safetensors';
    const child = start(
      [
        'put',
        '--base',
        scratch.path('cache'),
        '--key',
        'm@1@0@a@uint8',
        '--dtype',
        'U8',
        '--shape',
        String(bytes),
        scratch.path('in'),
      ],
      { env: { KV_OFFLOAD_SYNC: 'true' } },
    );
    const end = finished(child);
    await untilFilled(scratch.path('cache'));
    child.kill('SIGINT');
    await end;
    const left = await filesBelow(scratch.path('cache'));
    expect([[], [name, `${name}.metadata`]]).toContainEqual(left);
  });

  it('leaves the file that was there of get', async () => {
    const bytes = 256 * 2 ** 20;
    await mkdir(scratch.path('to'));
    await writeFile(scratch.path('to', 'out'), 'before');
    await writeFile(scratch.path('in'), '');
    await truncate(scratch.path('in'), bytes);
    const at = ['--base', scratch.path('cache'), '--key', 'm@1@0@a@uint8'];
    await cliJson(['put', ...at, '--dtype', 'U8', '--shape', String(bytes), scratch.path('in')]);
    const child = start(['get', ...at, '-o', scratch.path('to', 'out')]);
    const end = finished(child);
    while ((await readdir(scratch.path('to'))).length < 2 && child.exitCode === null) await setTimeout(1);
    child.kill('SIGINT');
    const { code, stderr } = await end;
    // Where the signal came too late, all of it is there.
    const { size } = await stat(scratch.path('to', 'out'));
    expect({ code, size, stderr }).toEqual({ code, size: code === 0 ? bytes : 'before'.length, stderr: '' });
    expect(await readdir(scratch.path('to'))).toEqual(['out']);
  });
});

describe('demo', () => {
  it('wants a directory that is there', async () => {
    await cliError(2, 'KVO_PATH_UNUSABLE', ['demo', '--path', scratch.path('none')]);
  });
});
