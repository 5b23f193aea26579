import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recordedTree } from '../../../src/readiness/recorded-tree.js';
import { runProgram } from '../../../src/readiness/run-program.js';
import { type System, isAbsent, valueOf } from '../../../src/readiness/system.js';
import { thisMachine } from '../../../src/readiness/this-machine.js';
import { temporaryDirectory } from '../../support/directories.js';
import { writeTree } from './trees.js';

const tree = (files: Parameters<typeof writeTree>[0]): Promise<System> => recordedTree(writeTree(files));

describe('a recorded tree', () => {
  it('reads files, lists directories and says what is absent', async () => {
    const system = await tree({ 'proc/modules': 'nvidia_fs 1 0\n', 'dev/nvidia0': '', 'dev/nvidiactl': '' });
    expect(await system.readText('/proc/modules')).toEqual({ value: 'nvidia_fs 1 0\n' });
    expect(await system.list('/dev')).toEqual({ value: ['nvidia0', 'nvidiactl'] });
    expect(await system.kind('/dev')).toEqual({ value: 'directory' });
    expect(await system.kind('/dev/nvidia0')).toEqual({ value: 'file' });
    expect(await system.readText('/dev')).toEqual({ errno: 'EISDIR' });
    expect(isAbsent(await system.readText('/etc/cufile.json'))).toBe(true);
    expect(isAbsent(await system.list('/proc/modules/x'))).toBe(true);
  });

  it('resolves symlinks inside itself: absolute ones, relative ones, and .. above its root', async () => {
    const system = await tree({
      'usr/local/cuda': { to: '/usr/local/cuda-13.0' },
      'usr/local/cuda-13.0/etc/cufile.json': '{}',
      'etc/cufile.json': { to: '../usr/local/cuda/etc/cufile.json' },
      'etc/escape': { to: '../../../../../../../../etc/hostname' },
      'etc/loop': { to: 'loop' },
    });
    expect(await system.readText('/etc/cufile.json')).toEqual({ value: '{}' });
    expect(await system.realpath('/etc/cufile.json')).toEqual({ value: '/usr/local/cuda-13.0/etc/cufile.json' });
    expect(await system.readlink('/usr/local/cuda')).toEqual({ value: '/usr/local/cuda-13.0' });
    expect(isAbsent(await system.readText('/etc/escape'))).toBe(true);
    expect(isAbsent(await system.readText('/../../../../../../../../../etc/hostname'))).toBe(true);
    expect(await system.readText('/etc/loop')).toEqual({ errno: 'ELOOP' });
  });

  it('takes the output of programs from cmd/, and their absence for programs that are not there', async () => {
    const system = await tree({ 'cmd/gdscheck.txt': ' WekaFS : Supported\n' });
    expect(await system.run('/usr/local/cuda/gds/tools/gdscheck', ['-p'])).toEqual({ value: ' WekaFS : Supported\n' });
    expect(isAbsent(await system.run('nvidia-smi', []))).toBe(true);
  });

  it('takes environment, addresses and room from what was recorded', async () => {
    const system = await tree({
      'proc/self/environ': 'CUFILE_ENV_PATH_JSON=/x.json\0A=b=c\0',
      'cmd/ip.txt':
        '1: lo    inet 127.0.0.1/8 scope host lo\n3: ib0    inet 10.0.0.7/16 brd 10.0.255.255 scope global ib0\n4: eth0@if9    inet 10.1.0.7/16 scope global eth0\n',
      'cmd/df.txt':
        'Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 50 50 50% /\nw/default 4096 1024 3072 25% /mnt/my weka\n',
    });
    expect(system.env).toEqual({ CUFILE_ENV_PATH_JSON: '/x.json', A: 'b=c' });
    expect(await system.addresses()).toEqual({
      value: [
        { name: 'lo', address: '127.0.0.1' },
        { name: 'ib0', address: '10.0.0.7' },
        { name: 'eth0', address: '10.1.0.7' },
      ],
    });
    expect(await system.space('/mnt/my weka/cache')).toEqual({ value: { total: 4096 * 1024, available: 3072 * 1024 } });
    expect(await system.space('/mnt/other')).toEqual({ value: { total: 100 * 1024, available: 50 * 1024 } });
  });

  it('answers UNKNOWN for what only the living node can tell', async () => {
    const system = await tree({});
    expect(await system.writable('/')).toEqual({ errno: 'UNKNOWN' });
    expect(await system.space('/')).toEqual({ errno: 'UNKNOWN' });
    expect(await system.addresses()).toEqual({ errno: 'UNKNOWN' });
  });
});

describe('this machine', () => {
  const system = thisMachine({ PATH: process.env['PATH'], LD_LIBRARY_PATH: '' });

  it('answers with values, and with why there are none', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), 'text');
    symlinkSync('file', join(directory, 'link'));
    mkdirSync(join(directory, 'sub'));
    expect(await system.readText(join(directory, 'link'))).toEqual({ value: 'text' });
    expect(await system.list(directory)).toEqual({ value: ['file', 'link', 'sub'] });
    expect(await system.readlink(join(directory, 'link'))).toEqual({ value: 'file' });
    expect(await system.realpath(join(directory, 'link'))).toEqual({ value: join(directory, 'file') });
    expect(await system.kind(join(directory, 'sub'))).toEqual({ value: 'directory' });
    expect(await system.kind('/dev/null')).toEqual({ value: 'device' });
    expect(await system.writable(directory)).toEqual({ value: true });
    expect(await system.answers(directory)).toEqual({ value: true });
    expect(isAbsent(await system.readText(join(directory, 'none')))).toBe(true);
    expect(await system.space(join(directory, 'none'))).toEqual({ errno: 'ENOENT' });
    expect(valueOf(await system.space(directory))?.total).toBeGreaterThan(0);
  });

  it('reads files of /proc, which tell no size', async () => {
    expect(valueOf(await system.readText('/proc/self/status'))).toMatch(/^CapEff:/m);
  });

  it('tells the IPv4 addresses of its interfaces', async () => {
    const all = Object.values(networkInterfaces()).flatMap((rows = []) =>
      rows.filter(({ family }) => family === 'IPv4'),
    );
    expect(valueOf(await system.addresses())?.map(({ address }) => address)).toEqual(all.map(({ address }) => address));
  });

  it('runs a program for its output, and none where it was told so', async () => {
    expect(await system.run('echo', ['a'])).toEqual({ value: 'a\n' });
    expect(isAbsent(await system.run('kvo-no-such-program', []))).toBe(true);
    expect(await thisMachine(process.env, false).run('echo', ['a'])).toEqual({ errno: 'UNKNOWN' });
  });

  it('no longer waits for a program at its deadline', async () => {
    const answer = await runProgram('sleep', ['60'], { env: process.env, timeoutMs: 50 });
    expect(answer).toEqual({ errno: 'ETIMEDOUT' });
  });
});

describe('the cuFile library', () => {
  const LIB = 'usr/local/cuda-13.0/targets/x86_64-linux/lib';
  const library = {
    [`${LIB}/libcufile.so.1.15.1`]: '',
    [`${LIB}/libcufile.so.0`]: { to: 'libcufile.so.1.15.1' },
    [`${LIB}/libcufile.so`]: { to: 'libcufile.so.0' },
  };
  const found = async (files: Parameters<typeof writeTree>[0], configured?: string) =>
    (await tree(files)).cufileVersion(configured);

  it('is found in the directories of CUDA’s packages, with the version its real name ends in', async () => {
    const path = '/usr/local/cuda/targets/x86_64-linux/lib/libcufile.so.0';
    const cuda = { 'usr/local/cuda': { to: 'cuda-13.0' } };
    expect(await found({ ...library, ...cuda })).toEqual({ value: { path, version: '1.15.1' } });
    expect(await found(library)).toEqual({ value: { path: `/${LIB}/libcufile.so.0`, version: '1.15.1' } });
  });

  it('is taken from LD_LIBRARY_PATH first, then the loader’s cache', async () => {
    const other = { 'opt/lib/libcufile.so.1.13.0': '', 'opt/lib/libcufile.so.0': { to: 'libcufile.so.1.13.0' } };
    const cache = { 'cmd/ldconfig.txt': '2 libs found\n\tlibcufile.so.0 (libc6,x86-64) => /opt/lib/libcufile.so.0\n' };
    const value = { path: '/opt/lib/libcufile.so.0', version: '1.13.0' };
    expect(await found({ ...library, ...other, 'proc/self/environ': 'LD_LIBRARY_PATH=:/opt/lib' })).toEqual({ value });
    expect(await found({ ...library, ...other, ...cache })).toEqual({ value });
  });

  it('is the configured one where one is configured', async () => {
    const own = { 'opt/own.so': '' };
    expect(await found({ ...library, ...own }, '/opt/own.so')).toEqual({
      value: { path: '/opt/own.so', version: undefined },
    });
    expect(isAbsent(await found(library, '/opt/none.so'))).toBe(true);
  });

  it('may be absent', async () => {
    expect(isAbsent(await found({}))).toBe(true);
  });
});
