/** `kv-offload bench --device cuda` on the stand-ins for CUDA and cuFile. No figure is asserted. */
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Report, type Row, reportSchema } from '../../src/cli/bench/schema.js';
import { cli, cliError, cliJson, scratchDirectory } from '../integration/cli-process.js';
import { FAKES } from '../support/gpu.js';

const scratch = scratchDirectory();
beforeEach(() => mkdir(scratch.path('here')));
const env = { KV_OFFLOAD_LIBCUDA_PATH: FAKES.cuda, KV_OFFLOAD_LIBCUFILE_PATH: FAKES.cufile };
const CHUNKS = ['--chunk', '64KiB', '--chunks', '4', '--depth', '2', '--threads', '2'];
const onGpu = (...args: string[]) => [
  ...['bench', '--path', scratch.path('here'), '--device', 'cuda', '--repeats', '2', ...CHUNKS],
  ...args,
];

async function reportOf(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Report> {
  return reportSchema.parse(await cliJson(args, { env: { ...env, ...more } }));
}

const ours = (rows: readonly Row[]) => rows.filter(({ by, unit }) => by === 'kv-offload' && unit === 'GB/s');
const bytes = (runs: number) => runs * 4 * 65_536;

describe('bench with chunks in a GPU’s memory', () => {
  it('stages them, beside pinned copies, and proves it', async () => {
    const report = await reportOf(onGpu('--transport', 'staged', '--no-peers', '--sums', 'on'));
    expect(report.transport).toMatchObject({ kind: 'staged', reason: 'kv_offload.transport is staged' });
    expect(report.device).toMatchObject({ kind: 'cuda:0', name: 'Fake GPU 0', driver: 'CUDA 12.8' });
    expect(report.device?.details).toMatchObject({
      ...{ reads: 'staged', writes: 'staged', cufile: 'not asked for', buffer: 'not registered with cuFile' },
    });
    const [store, retrieve, mix] = ours(report.rows);
    expect([store, retrieve, mix].map((row) => [row?.operation, row?.transport, row?.cache])).toEqual([
      ['store', 'staged', 'none'],
      ['retrieve', 'staged', 'warm'],
      ['mix', 'staged', 'warm'],
    ]);
    expect(retrieve).toMatchObject({ verified: true, sums: true, threads: 2, depth: 2, chunkBytes: 65_536 });
    const path = { directBytes: 0, bufferedBytes: 0, deviceBytes: bytes(2), stagedBytes: bytes(2), gdsBytes: 0 };
    expect(retrieve?.path).toEqual({ ...path, via: { staged: 8 } });
    expect(store?.path).toEqual({ ...path, via: { staged: 8 } });
    const copies = report.rows.filter(({ by }) => by === 'pinned-copy');
    expect(copies.map(({ chunk, values }) => [chunk, values.length])).toEqual([
      ['to the GPU', 2],
      ['from the GPU', 2],
    ]);
    expect(Object.keys(retrieve?.ratios ?? {})).toEqual(['pinned-copy']);
    expect(retrieve?.ratios?.['pinned-copy']?.median).toBeCloseTo(
      (retrieve?.median ?? NaN) / (copies[0]?.median ?? NaN),
    );
    expect(store?.ratios?.['pinned-copy']?.median).toBeCloseTo((store?.median ?? NaN) / (copies[1]?.median ?? NaN));
    expect(report.notes.join()).toMatch(/no memcpy, fio, fs\.promises and FileHandle rows: they end in host memory/);
    expect(report.rows.map(({ by }) => by)).not.toContain('memcpy');
    expect(await readdir(scratch.path('here'))).toEqual([]);
  });

  it('gives them to cuFile where that goes direct, and counts its calls', async () => {
    const { rows, transport, device } = await reportOf(onGpu('--no-peers', '--cold'));
    expect(transport).toMatchObject({ kind: 'gds', reason: 'a trial read went direct, a trial write went direct' });
    expect(device?.details['buffer']).toBe('registered with cuFile whole');
    expect(device?.details['cufile']).toMatch(/^1\.[0-9]+ \(.*libfake_cufile\.so\)/);
    const [store, retrieve] = ours(rows);
    expect(store).toMatchObject({ transport: 'gds', io: 'direct' });
    expect(retrieve).toMatchObject({ transport: 'gds', io: 'direct', cache: 'bypassed', sums: false });
    expect(retrieve?.path).toMatchObject({ gdsBytes: bytes(2), stagedBytes: 0, via: { gds: 8 } });
    expect(retrieve?.path?.cufile).toMatchObject({ readsDirect: 8, readsPosix: 0 });
    expect(rows.map(({ cache }) => cache)).not.toContain('cold');
  });

  it('takes 32 threads where cuFile moves them and nobody says otherwise, as an engine does', async () => {
    const args = ['bench', '--path', scratch.path('here'), '--device', 'cuda:0', '--repeats', '1', '--no-peers'];
    const { rows } = await reportOf([...args, '--chunk', '4KiB', '--chunks', '2', '--operations', 'retrieve']);
    expect(ours(rows)[0]).toMatchObject({ threads: 32, transport: 'gds' });
  });

  it('stands beside plain C++ and cuFile by itself, or says why there is none', async () => {
    const { rows, notes } = await reportOf(onGpu('--transport', 'staged', '--threads', '1,2'));
    const those = (name: Row['by']) => rows.filter(({ by, unit }) => by === name && unit === 'GB/s');
    const plain = those('plain-cpp');
    if (plain.length === 0) expect(notes.join()).toContain('no plain C++ rows');
    else {
      const told = (some: readonly Row[]) =>
        some.map(({ operation, transport, threads, verified }) => [operation, transport, threads, verified]);
      const both = (transport: string) =>
        [1, 2].flatMap((threads) => ['store', 'retrieve'].map((what) => [what, transport, threads, true]));
      expect(told(plain)).toEqual(both('staged'));
      expect(told(those('cufile'))).toEqual(both('cufile'));
      expect([...plain, ...those('cufile')].map(({ io }) => io)).toEqual(Array(8).fill('buffered'));
      expect(Object.keys(ours(rows)[1]?.ratios ?? {})).toEqual(['pinned-copy', 'plain-cpp', 'cufile']);
    }
    expect(notes.join()).toContain('--peers names no Python');
  });

  it('stands beside cuFile alone where cuFile moves its bytes, and says why it cannot', async () => {
    const { rows, notes } = await reportOf(onGpu('--operations', 'retrieve'));
    const cufile = rows.filter(({ by }) => by === 'cufile');
    if (cufile.length === 0) expect(notes.join()).toContain('no plain C++ rows');
    else {
      expect(cufile.map(({ io, cache }) => [io, cache])).toEqual([['direct', 'bypassed']]);
      expect(notes.join()).toContain('no plain C++ rows beside gds');
      const refused = await reportOf(onGpu('--operations', 'retrieve', '--transport', 'staged'), {
        KVO_FAKE_FAULTS: 'registerHandle:5030',
      });
      expect(refused.rows.map(({ by }) => by)).not.toContain('cufile');
      expect(refused.notes.join('\n')).toMatch(
        /no rows of cuFile by itself: plain_gpu ended at: .* cuFileHandleRegister: INTERNAL_ERROR \(5030\)/,
      );
    }
    expect(await readdir(scratch.path('here'))).toEqual([]);
  });

  it('stands beside the peers that a Python has, and says which it has not', async () => {
    const python = scratch.path('python');
    const answer = (peer: string, what: string) =>
      JSON.stringify({
        peer,
        what,
        threads: 16,
        best: 3,
        median: 2,
        values: [1, 2, 3],
        cpu: 0.5,
        us: 9,
        verified: true,
        note: 'n',
      });
    const script = [
      '#!/bin/sh',
      'case "$1" in -c) echo "{}"; exit;; esac',
      '[ -f "$1" ] || exit 1',
      `case "$2" in`,
      `kvikio) echo 'its own words'; echo '${answer('kvikio', 'load')}'; echo '${answer('kvikio', 'store')}';;`,
      `nixl) echo '{"peer":"nixl","skipped":"no nixl here"}';;`,
      `*) echo trouble >&2; exit 3;;`,
      'esac',
    ];
    await writeFile(python, script.join('\n'));
    await chmod(python, 0o755);
    const { rows, notes } = await reportOf(
      onGpu('--transport', 'staged', '--operations', 'retrieve', '--peers', python),
    );
    const peers = rows.filter(({ by }) => by === 'kvikio');
    expect(
      peers.map(({ operation, values, median, chunkBytes, chunks }) => [operation, values, median, chunkBytes, chunks]),
    ).toEqual([
      ['retrieve', [1, 2, 3], 2, 65_536, 4],
      ['store', [1, 2, 3], 2, 65_536, 4],
    ]);
    expect(peers[0]).toMatchObject({ verified: true, details: { peer: 'kvikio', note: 'n' }, transport: 'posix' });
    expect(peers[0]?.ratios).toHaveProperty('pinned-copy');
    expect(notes.join('\n')).toMatch(/no rows of nixl with 16 threads, 64KiB: no nixl here/);
    expect(notes.join('\n')).toMatch(/no rows of lmcache-gds with 4 threads, 64KiB: ended with exit code 3: trouble/);
    expect(await readdir(scratch.path('here'))).toEqual([]);
  });

  it('says what it takes of the GPU, shows its rows, and draws them with their ceiling', async () => {
    const page = scratch.path('page.html');
    const { code, stdout, stderr } = await cli(onGpu('--transport', 'staged', '--no-peers', '--html', page), { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^one combination: .* MiB of memory and [0-9]+ MiB of the GPU's,/);
    expect(stdout).toMatch(/^cuda:0 Fake GPU 0 \(80\.0 GiB\), CUDA 12\.8; /m);
    expect(stdout).toMatch(/^retrieve +kv-offload +64KiB × 4, t2 d2 +staged buffered warm/m);
    expect(stdout).toContain('(8 staged)');
    const html = await readFile(page, 'utf8');
    expect(html).toContain('Fake GPU 0');
    expect(html.match(/ pinned copy to the GPU</g)?.length).toBe(2);
    expect(html.match(/ pinned copy from the GPU</g)?.length).toBe(2);
    expect(html).not.toMatch(/NaN|undefined/);
  });

  it('takes the settings’ device, and --device cpu over it', async () => {
    const args = ['bench', '--path', scratch.path('here'), '--repeats', '1', '--no-peers', ...CHUNKS];
    const settings = { KV_OFFLOAD_DEVICE: 'cuda', KV_OFFLOAD_TRANSPORT: 'staged' };
    expect((await reportOf(args, settings)).device?.kind).toBe('cuda:0');
    expect((await reportOf([...args, '--device', 'cpu'], settings)).device).toBeNull();
  });

  it('refuses what cannot be meant, and says where there is no GPU', async () => {
    const host = ['bench', '--path', scratch.path('here')];
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...host, '--device', 'gpu'])).toContain('cuda:1');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...host, '--transport', 'fast'])).toContain('auto, gds, staged');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...host, '--transport', 'gds'])).toContain('--device cuda');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...host, '--peers', 'python3'])).toContain('--device cuda');
    const nowhere = { env: { KV_OFFLOAD_LIBCUDA_PATH: scratch.path('none.so') } };
    await cliError(1, 'KVO_DEVICE_UNAVAILABLE', onGpu(), nowhere);
    expect(await readdir(scratch.path('here'))).toEqual([]);
  });
});
