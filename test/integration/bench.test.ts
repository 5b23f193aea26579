/** `kv-offload bench` as its users run it. No figure is asserted: only what is measured, said and left behind. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Report, reportSchema } from '../../src/cli/bench/schema.js';
import { sampleReport } from '../support/bench-report.js';
import { cli, cliError, cliJson, filesBelow, finished, scratchDirectory, start } from './cli-process.js';

const scratch = scratchDirectory();
const small = (...args: string[]) => ['bench', '--path', scratch.path(), '--no-peers', '--repeats', '2', ...args];

async function reportOf(args: readonly string[]): Promise<Report> {
  return reportSchema.parse(await cliJson(args));
}

describe('bench', () => {
  it('measures each operation, verifies, proves its path, and leaves nothing behind', async () => {
    const report = await reportOf(small('--chunk', '64KiB,100', '--chunks', '5', '--depth', '2', '--threads', '2'));
    const own = report.rows.filter(({ by, unit }) => by === 'kv-offload' && unit === 'GB/s');
    expect(own.map(({ operation, chunk, cache }) => [operation, chunk, cache])).toEqual([
      ['store', '64KiB', 'none'],
      ['retrieve', '64KiB', 'warm'],
      ['mix', '64KiB', 'warm'],
      ['store', '100', 'none'],
      ['retrieve', '100', 'warm'],
      ['mix', '100', 'warm'],
    ]);
    const [store, retrieve, mix] = own;
    expect(store).toMatchObject({ verified: true, chunks: 5, threads: 2, depth: 2, bytesInFlight: 2 * 65_536 });
    expect(retrieve?.values.length).toBe(2);
    expect(retrieve?.path).toEqual({ directBytes: 0, bufferedBytes: 2 * 5 * 65_536, deviceBytes: 0 });
    expect(retrieve?.latency?.count).toBe(10);
    expect(mix?.latency?.count).toBe(10);
    expect(report.rows.map(({ operation }) => operation)).toEqual(expect.arrayContaining(['memcpy', 'lookup']));
    expect(report).toMatchObject({ complete: true, device: null, transport: { kind: 'host' } });
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('takes settings’ threads, sums and I/O, and both where told so', async () => {
    const args = small(
      '--chunk',
      '4KiB',
      '--chunks',
      '2',
      '--operations',
      'retrieve',
      '--io',
      'buffered,direct',
      '--sums',
      'on,off',
    );
    const { rows } = await reportOf(args);
    const own = rows.filter(({ by }) => by === 'kv-offload');
    expect(own.map(({ operation, io, sums }) => [operation, io, sums])).toEqual([
      ['retrieve', 'buffered', true],
      ['retrieve', 'buffered', false],
      ['retrieve', 'direct', true],
      ['retrieve', 'direct', false],
    ]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  });

  it('says beforehand what it takes, shows tables, and writes a page', async () => {
    const page = scratch.path('page.html');
    const { code, stdout, stderr } = await cli(small('--size', '1', '--chunks', '2', '--html', page));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^one combination: at most [0-9]+ MiB at a time below .* and [0-9]+ MiB of memory/);
    expect(stdout).toMatch(/^retrieve +kv-offload +1MiB × 2, t[0-9]+ d32 +buffered warm sums +[0-9.]+ \[/m);
    expect(stdout).toContain('--no-peers was given');
    expect(await readFile(page, 'utf8')).toMatch(/^<!doctype html>/);
    expect(await readdir(scratch.path())).toEqual(['page.html']);
  });

  it('says aloud which peers there are not, and measures those that there are', async () => {
    const { rows, notes } = await reportOf([
      'bench',
      '--path',
      scratch.path(),
      '--repeats',
      '1',
      '--chunk',
      '8KiB',
      '--chunks',
      '3',
    ]);
    const peers = new Set(rows.map(({ by }) => by));
    expect([...peers]).toEqual(expect.arrayContaining(['fs-promises', 'file-handle']));
    expect(peers.has('fio') || notes.some((note) => note.startsWith('no fio rows'))).toBe(true);
    expect(peers.has('plain-cpp') || notes.some((note) => note.startsWith('no plain C++ rows'))).toBe(true);
    const own = rows.find(({ by, operation }) => by === 'kv-offload' && operation === 'retrieve');
    expect(Object.keys(own?.ratios ?? {})).toEqual(expect.arrayContaining(['fs-promises', 'file-handle']));
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('reads cold where that can be checked, and else says why not', async () => {
    const { rows, notes } = await reportOf(
      small('--chunk', '64KiB', '--chunks', '3', '--operations', 'retrieve', '--cold'),
    );
    const cold = rows.find(({ cache }) => cache === 'cold');
    if (cold === undefined) expect(notes.join()).toContain('no cold reads: ');
    else expect(cold.coldBy).toContain('dd iflag=nocache');
  });

  it('is bounded, and wants a directory and known words', async () => {
    const bench = (...args: string[]) => ['bench', ...args];
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', bench('--chunks', '5000'))).toContain(
      '--chunks is "5000"; it is an integer from 1 to 4096',
    );
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', bench('--sums', 'maybe'))).toContain('on, off');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', bench('--chunk', 'gpt-0'))).toContain('llama-3.1-8b');
    await cliError(2, 'KVO_PATH_UNUSABLE', bench('--path', scratch.path('none')));
    await cliError(1, 'KVO_NO_SPACE', bench('--path', scratch.path(), '--size', '1024', '--chunks', '4096'));
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('ends by the signal, with its directory removed', async () => {
    const child = start(small('--chunks', '1024', '--size', '1', '--json'), { env: { KV_OFFLOAD_SYNC: 'true' } });
    const end = finished(child);
    while ((await filesBelow(scratch.path())).length === 0) await setTimeout(5);
    child.kill('SIGINT');
    expect(await end).toMatchObject({ code: null, signal: 'SIGINT', stdout: '', stderr: '' });
    expect(await readdir(scratch.path())).toEqual([]);
  });
});

describe('bench compare', () => {
  it('says what changed, and takes no file that is no report', async () => {
    const [a, b] = [scratch.path('a.json'), scratch.path('b.json')];
    const [row] = sampleReport().rows;
    await writeFile(a, JSON.stringify(sampleReport()));
    await writeFile(b, JSON.stringify({ ...sampleReport(), rows: [{ ...row, median: 20, least: 19, greatest: 21 }] }));
    const { changes } = (await cliJson(['bench', 'compare', a, b])) as { changes: unknown[] };
    expect(changes).toEqual([{ id: row?.id, first: 10, second: 20, unit: 'GB/s', ratio: 2, verdict: 'better' }]);
    const { stdout } = await cli(['bench', 'compare', a, b]);
    expect(stdout).toMatch(
      /^better +retrieve\/kv-offload\S* +10\.0 \[9\.00, 11\.0\] +20\.0 \[19\.0, 21\.0\] +GB\/s +2\.00$/m,
    );
    await writeFile(b, '{"schema":"kv-offload-bench","version":9}');
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', ['bench', 'compare', a, b])).toContain('version');
  });
});

describe('bench ttft', () => {
  it('models from what bench measured', async () => {
    const file = scratch.path('report.json');
    const operations = ['--operations', 'retrieve,lookup', '--json'];
    await writeFile(file, (await cli(small('--chunk', '64KiB', '--chunks', '2', ...operations))).stdout);
    const args = ['bench', 'ttft', file, '--prefill', '5000', '--prompt', '10000', '--hit', '0.5'];
    const ttft = (await cliJson(args)) as { cachedTokens: number; milliseconds: { withoutCache: number } };
    expect(ttft).toMatchObject({ cachedTokens: 19 * 256, milliseconds: { withoutCache: 2000 } });
    expect((await cli(args)).stdout).toMatch(/^without the cache +2000$[^]*^This assumes:\n- prefill computes 5000/m);
    expect(await cliError(2, 'KVO_ARGUMENT_INVALID', [...args, '--hit', '2'])).toContain('--hit');
  });
});

describe('bench replay', () => {
  it('hits what earlier requests stored, the same for the same seed', async () => {
    const args = ['bench', 'replay', '--path', scratch.path(), '--users', '3', '--turns', '3', '--chunk', '4KiB'];
    const [one, two] = [await reportOf(args), await reportOf(args)];
    expect(one.replay).toMatchObject({ requests: 9, hitRate: two.replay?.hitRate, bytesSaved: two.replay?.bytesSaved });
    expect(one.replay?.hitRate).toBeGreaterThan(0.5);
    expect(one.replay?.verifiedChunks).toBeGreaterThan(0);
    expect(one.replay?.timeline.reduce((sum, { requests }) => sum + requests, 0)).toBe(9);
    expect(await readdir(scratch.path())).toEqual([]);
  });
});

describe('bench scale', () => {
  it('opens a full directory, and has processes read what others stored', async () => {
    const args = ['--files', '1000', '--processes', '1,2', '--footprint', '1', '--chunk', '64KiB', '--repeats', '1'];
    const { rows } = await reportOf(['bench', 'scale', '--path', scratch.path(), ...args]);
    expect(rows.map(({ operation, details }) => [operation, details?.['files'], details?.['processes']])).toEqual([
      ['open', 1024, undefined],
      ['lookup', 1024, undefined],
      ['store', undefined, 1],
      ['retrieve', undefined, 1],
      ['store', undefined, 2],
      ['retrieve', undefined, 2],
    ]);
    expect(await readdir(scratch.path())).toEqual([]);
  });

  it('ends by the signal, with its directory removed', async () => {
    const child = start(['bench', 'scale', '--path', scratch.path(), '--files', '200000', '--json']);
    const end = finished(child);
    while ((await filesBelow(scratch.path())).length === 0) await setTimeout(5);
    child.kill('SIGTERM');
    expect(await end).toMatchObject({ code: null, signal: 'SIGTERM', stdout: '' });
    expect(await readdir(scratch.path())).toEqual([]);
  });
});
