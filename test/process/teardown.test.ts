/** The ends of processes and workers, whatever is under way: no crash, no hang, no word on stderr, nothing left behind. */
import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { CHUNK, openEngine, payloads, targets } from '../support/engine.js';
import { type Finished, childResult, runChild } from '../support/child.js';
import { dataFiles, leftovers, temporaryDirectory } from '../support/directories.js';
import { tokens } from '../support/payload.js';

const TIMES = 25;
/** Transfers that take a while: each write and each read sleeps. */
const slow = { extra: { gds_io_threads: 2 }, faults: 'pwritev:delay=5;preadv:delay=5' };
const CLEAN = { code: 0, signal: null, stderr: '' };

/** Runs the calls, as many at a time as there are cores. */
async function inTurns<T>(calls: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  const waiting = [...calls.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) results[next[0]] = await next[1]();
  };
  await Promise.all(Array.from({ length: cpus().length }, worker));
  return results;
}

/** A directory with a prompt of 20 chunks. */
async function filled(): Promise<string> {
  const base = temporaryDirectory();
  await (await openEngine({ base })).store(tokens(20 * CHUNK), payloads(20));
  return base;
}

/** Every chunk that can be seen is whole. */
async function expectSound(base: string): Promise<void> {
  const engine = await openEngine({ base });
  for (const path of dataFiles(base)) expect(await engine.readChunk({ path })).toMatchObject({ verified: true });
}

describe(`process.exit in the midst of transfers, ${TIMES} times`, () => {
  it('ends at once and quietly', async () => {
    const base = await filled();
    const calls = Array.from(
      { length: TIMES },
      (_, i) => () =>
        runChild('exit-midway', { setup: { base, ...slow }, afterMs: i, how: i % 5 === 4 ? 'close' : 'exit' }),
    );
    for (const finished of await inTurns(calls)) expect(finished).toMatchObject(CLEAN);
    await expectSound(base);
  });

  it('ends with the error’s own message alone where one is thrown', async () => {
    const base = await filled();
    const { code, signal, stderr } = await runChild('exit-midway', {
      setup: { base, ...slow },
      afterMs: 5,
      how: 'throw',
    });
    expect([code, signal]).toEqual([1, null]);
    expect(stderr).toContain('thrown on purpose');
    expect(stderr).not.toMatch(/terminate called|FATAL|Napi/);
    await expectSound(base);
  });

  it('does not wait for a system call that hangs', async () => {
    const base = await filled();
    const setup = {
      base,
      settings: { blocking_timeout_secs: 0.1 },
      faults: 'stat:delay=3600000@3x2;preadv:delay=3600000@4x2',
    };
    for (const afterMs of [20, 300]) {
      expect(await runChild('exit-midway', { setup, afterMs, how: 'exit' })).toMatchObject(CLEAN);
    }
    expect(leftovers(base)).toEqual([]);
  });
});

describe(`terminate of a worker in the midst of transfers, ${TIMES} times`, () => {
  it('leaves the process sound', async () => {
    const base = await filled();
    const finished = await runChild('terminate-workers', { setup: { base, ...slow }, times: TIMES });
    expect(finished).toMatchObject({ ...CLEAN, stdout: JSON.stringify({ terminated: TIMES }) });
    await expectSound(base);
  });

  it('may come with the end of the process', async () => {
    const base = await filled();
    const calls = Array.from(
      { length: 6 },
      () => () => runChild('terminate-workers', { setup: { base, ...slow }, times: 2, exit: true }),
    );
    for (const finished of await inTurns(calls))
      expect(finished).toMatchObject({ ...CLEAN, stdout: '{"terminated":1}' });
    await expectSound(base);
  });

  it('does not wait for a system call that hangs', async () => {
    const base = await filled();
    const setup = { base, settings: { blocking_timeout_secs: 0.1 }, faults: 'preadv:delay=3600000@4x2' };
    expect(await runChild('terminate-workers', { setup, times: 3 })).toMatchObject(CLEAN);
  });
});

describe('a process that leaves its engine open', () => {
  const ended = async (leave: string, more: object = {}): Promise<Finished> =>
    runChild('idle', { setup: { base: temporaryDirectory(), ...more }, leave });

  it.each(['unused', 'used'])('ends by itself: %s', async (leave) => {
    expect(await ended(leave)).toEqual({ ...CLEAN, stdout: JSON.stringify({ left: leave }) });
  });

  it('stays until a transfer has ended', async () => {
    const finished = await ended('transferring', { faults: 'pwritev:delay=30' });
    expect(finished).toEqual({ ...CLEAN, stdout: '{"present":4}' });
  });

  it('stays until it has closed', async () => {
    expect(await ended('closing', { faults: 'pwritev:delay=30' })).toEqual({ ...CLEAN, stdout: '{"stuck":[]}' });
  });

  it('stays until a wait for slots has ended', async () => {
    expect(await ended('waiting')).toEqual({ ...CLEAN, stdout: '{"code":"KVO_BUSY"}' });
  });
});

interface Counted {
  before: number;
  most: number;
  after: number;
  descriptors: number;
}

describe('memory that a hung call may still write to', () => {
  it('is kept when the engine and all that is known of it are collected', async () => {
    const base = await filled();
    const kept = (argument: object) =>
      childResult<{ collected: boolean }>('hung-memory', argument, { node: ['--expose-gc'] });
    for (const memory of ['slot', 'region', 'own']) {
      expect([memory, await kept({ base, memory, hang: true })]).toEqual([memory, { collected: false }]);
      expect([memory, await kept({ base, memory, hang: false })]).toEqual([memory, { collected: true }]);
    }
  });
});

describe('engines by the dozen', () => {
  it('give back their threads and descriptors when they are collected without a close', async () => {
    const setup = { base: temporaryDirectory() };
    const counted = await childResult<Counted>(
      'collected',
      { setup, engines: 20, close: false },
      { node: ['--expose-gc'] },
    );
    expect(counted.most).toBeGreaterThan(counted.before);
    expect([counted.after, counted.descriptors]).toEqual([counted.before, 0]);
  });

  it('give them back when they are closed', async () => {
    const setup = { base: temporaryDirectory() };
    const counted = await childResult<Counted>(
      'collected',
      { setup, engines: 100, close: true },
      { node: ['--expose-gc'] },
    );
    expect([counted.after, counted.descriptors]).toEqual([counted.before, 0]);
    expect(counted.most).toBeLessThan(counted.before + 20);
  });
});

describe('an engine in the main thread', () => {
  it('works while workers with engines of their own come and go', async () => {
    const base = await filled();
    const workers = runChild('terminate-workers', { setup: { base, ...slow }, times: 3 });
    const engine = await openEngine({ base });
    expect((await engine.retrieve(tokens(20 * CHUNK), targets(20))).tokens).toBe(20 * CHUNK);
    expect(await workers).toMatchObject(CLEAN);
  });
});
