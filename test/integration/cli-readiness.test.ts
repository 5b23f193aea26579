/** The command line about a node: `mounts`, `cufile-json`, `doctor`, `probe`, over recorded trees and this machine. */
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { runDoctor } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { STOCK, wekaCufile } from '../unit/readiness/cufile-files.js';
import { NO_GPU, READY, STOCK_13_0 } from '../unit/readiness/nodes.js';
import { writeTree } from '../unit/readiness/trees.js';
import { cli, cliError, cliJson, scratchDirectory } from './cli-process.js';

const scratch = scratchDirectory();

describe('mounts', () => {
  const tree = () =>
    writeTree({
      'proc/self/mountinfo': '41 27 0:51 / /mnt/weka rw - wekafs w/d rw,writecache,dentry_max_age_negative=5\n',
    });

  it('prints them with their options explained, as text and as JSON', async () => {
    const root = tree();
    const [text, json] = await Promise.all([
      cli(['mounts', '--root', root, '--path', '/mnt/weka/cache']),
      cliJson(['mounts', '--root', root]),
    ]);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(
      /^\/mnt\/weka {2}wekafs {2}w\/d\n {2}rw +chunks can be stored\n {2}writecache +page cache/,
    );
    expect(text.stdout).toContain('warning: dentry_max_age_negative is 5, not 0');
    expect(text.stdout).toContain('cache /mnt/weka/cache: on /mnt/weka (wekafs)\n');
    expect(json).toMatchObject({ mounts: [{ path: '/mnt/weka', options: ['rw', 'writecache', expect.any(String)] }] });
  });

  it('says that there is none, with exit code 0', async () => {
    expect(await cli(['mounts', '--root', writeTree({})])).toMatchObject({ code: 0, stdout: 'No WekaFS mount.\n' });
  });

  it('takes a root that is no directory for bad input', async () => {
    expect(await cliError(2, 'KVO_PATH_UNUSABLE', ['mounts', '--root', scratch.path('none')])).toContain(
      'no directory',
    );
  });
});

describe('cufile-json', () => {
  const RIGHT = wekaCufile(['10.0.0.7']);
  const node = (cufile: string = STOCK) =>
    writeTree({
      'sys/class/net/ib0/type': '32\n',
      'sys/class/net/ib0/operstate': 'up\n',
      'cmd/ip.txt': '2: ib0    inet 10.0.0.7/16 scope global ib0\n',
      'etc/cufile.json': cufile,
    });
  const made = (root: string, ...args: readonly string[]) => cli(['cufile-json', '--root', root, ...args]);

  it('prints the new file, and the diff beside it, and writes nothing', async () => {
    const root = node();
    const { code, stdout, stderr } = await made(root);
    expect({ code, stdout }).toEqual({ code: 0, stdout: RIGHT });
    expect(stderr).toContain(
      '-            "rdma_dev_addr_list": [ ],\n+            "rdma_dev_addr_list": ["10.0.0.7"],\n',
    );
    expect(await readFile(`${root}/etc/cufile.json`, 'utf8')).toBe(STOCK);
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('writes --out whole, shows the diff, and writes nothing where it is right already', async () => {
    const out = scratch.path('out.json');
    const [first] = [await made(node(), '--out', out)];
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^--- [^]*\+ +"rdma_write_support" : true[^]*\nwrote .*out\.json\n$/);
    expect(await readFile(out, 'utf8')).toBe(RIGHT);
    expect(await readdir(scratch.path())).toEqual(['out.json']);
    expect((await made(node(), '--out', out)).stdout).toContain('right as it is; nothing was written');
  });

  it('leaves an existing file alone without --force, and keeps mode and symlink with it', async () => {
    const out = scratch.path('out.json');
    await mkdir(scratch.path('d'));
    await writeFile(scratch.path('d', 'real.json'), '{}\n');
    await chmod(scratch.path('d', 'real.json'), 0o640);
    await symlink('d/real.json', out);
    const refused = await made(node(), '--out', out);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('exists with another content and was left as it is; use --force');
    expect(await readFile(out, 'utf8')).toBe('{}\n');
    expect(await made(node(), '--out', out, '--force')).toMatchObject({ code: 0 });
    expect(await readFile(scratch.path('d', 'real.json'), 'utf8')).toBe(RIGHT);
    expect((await stat(out)).mode & 0o777).toBe(0o640);
    expect(await readdir(scratch.path('d'))).toEqual(['real.json']);
  });

  it('checks: exit code 1 with the diff where something would change, else 0', async () => {
    const [off, right] = await Promise.all([made(node(), '--check'), made(node(RIGHT), '--check')]);
    expect(off).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining('+++') as string });
    expect(right).toMatchObject({ code: 0, stdout: '/etc/cufile.json: nothing to change\n' });
    expect(await made(node(RIGHT), '--check', '--strict')).toMatchObject({ code: 1 });
  });

  it('starts from --from, and tells all as JSON', async () => {
    await writeFile(scratch.path('from.json'), RIGHT);
    const json = await cliJson(['cufile-json', '--root', node(), '--from', scratch.path('from.json'), '--strict']);
    expect(json).toMatchObject({
      from: scratch.path('from.json'),
      out: null,
      changes: [{ setting: 'properties.allow_compat_mode', before: true, after: false }],
      warnings: [],
      written: false,
      text: RIGHT.replace('"allow_compat_mode": true', '"allow_compat_mode": false'),
    });
  });

  it('takes a file that does not parse, and options that contradict, for bad input', async () => {
    const args = ['cufile-json', '--root', node('{"a": }')];
    expect(await cliError(2, 'KVO_CONFIG_PARSE', args)).toContain('/etc/cufile.json:1:7: ');
    await cliError(2, 'KVO_ARGUMENT_INVALID', [...args, '--check', '--out', scratch.path('x')]);
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['cufile-json', '--from', scratch.path('none')]);
  });

  it('does not write where it may not', async () => {
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['cufile-json', '--root', node(), '--out', scratch.path('no', 'x.json')]);
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['cufile-json', '--root', node(), '--out', scratch.path()]);
  });
});

/** Settings of this machine's environment must not decide; XDG_CACHE_HOME is the default cache's place. */
const env = () => ({ XDG_CACHE_HOME: scratch.path(), CUFILE_ENV_PATH_JSON: '' });

describe('doctor', () => {
  it('is ready with the default settings on any machine: host memory, a local directory', async () => {
    const { code, stdout, stderr } = await cli(['doctor'], { env: env() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ready {6}host memory ↔ /);
    expect(stdout).toMatch(/^ {2}ok {7}live {11}stored and retrieved 1 MiB by host/m);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('leaves nothing behind, and makes no cache directory', async () => {
    expect(await cli(['doctor', '--path', scratch.path('a', 'b')])).toMatchObject({ code: 0 });
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('prints its report as JSON, and ends with 1 where the node is not ready', async () => {
    const { code, stdout, stderr } = await cli(['doctor', '--json', '--require-gds', '--root', writeTree(STOCK_13_0)]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const report = JSON.parse(stdout) as { ready: boolean; checks: Record<string, unknown>[] };
    expect(report.ready).toBe(false);
    for (const check of report.checks) {
      expect(Object.keys(check)).toEqual(['id', 'status', 'seen', 'where', 'why', 'fix', 'needed']);
    }
    expect(await cli(['doctor', '--json', '--require-gds', '--root', writeTree(READY)])).toMatchObject({ code: 0 });
  });

  it('takes wrong usage for bad input, and wrong settings for a node that is not ready', async () => {
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['doctor', '--require-gsd']);
    await cliError(2, 'KVO_PATH_UNUSABLE', ['doctor', '--root', scratch.path('none')]);
    const wrong = await cli(['doctor'], { env: { ...env(), LMCACHE_CHUNK_SIZE: 'x' } });
    expect(wrong).toMatchObject({ code: 1, stdout: expect.stringMatching(/^not ready {2}config: /) as string });
  });

  it('records the node in an archive', async () => {
    const file = scratch.path('node.tar.gz');
    const { code, stderr } = await cli(['doctor', '--json', '--record', file, '--root', writeTree(READY)]);
    expect(code).toBe(0);
    expect(stderr).toContain(`recorded in ${file}`);
    expect((await readFile(file)).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['doctor', '--record', scratch.path('none', 'x')]);
  });

  it('tells of a directory that can’t be used, in the check that it concerns', async () => {
    await writeFile(scratch.path('file'), '');
    const { ready, checks } = await runDoctor({ path: scratch.path('file'), env: {} });
    expect(ready).toBe(false);
    expect(checks.find(({ id }) => id === 'mount')).toMatchObject({
      status: 'fail',
      seen: `${scratch.path('file')} is no directory`,
    });
  });

  it('does not call GPUDirect Storage ready where bytes move otherwise', async () => {
    const { ready, checks } = await runDoctor({ path: temporaryDirectory(), requireGds: true, env: { PATH: '/none' } });
    expect(ready).toBe(false);
    expect(checks.find(({ id }) => id === 'live')).toMatchObject({ status: 'fail' });
  });
});

describe('probe', () => {
  it('says in one line what is ready, or what is not', async () => {
    const [ready, not, plain] = await Promise.all([
      cli(['probe', '--require-gds', '--root', writeTree(READY)]),
      cli(['probe', '--require-gds', '--root', writeTree(STOCK_13_0)]),
      cli(['probe', '--root', writeTree(NO_GPU)]),
    ]);
    expect(ready).toMatchObject({
      code: 0,
      stdout: 'ready: GPUDirect Storage ↔ /mnt/weka/cache (wekafs)\n',
      stderr: '',
    });
    expect(not).toMatchObject({ code: 1, stderr: '' });
    expect(not.stdout).toMatch(/^not ready: cufile_json: properties\.rdma_dev_addr_list is empty.*\n$/);
    expect(plain).toMatchObject({ code: 0, stdout: 'ready: host memory ↔ /root/.cache/kv-offload (ext4)\n' });
  });

  it('looks at this machine, writes nothing, and prints JSON', async () => {
    const json = await cliJson(['probe', '--path', scratch.path('cache')]);
    expect(json).toEqual({ ready: true, reason: expect.stringContaining('host memory') as string });
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('takes wrong usage for bad input', async () => {
    await cliError(2, 'KVO_ARGUMENT_INVALID', ['probe', 'x']);
  });
});
