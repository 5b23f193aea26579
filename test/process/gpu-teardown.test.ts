/** The ends of processes and workers in the midst of transfers of GPU memory: no crash, no hang, no word on stderr. */
import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type Finished, childResult, runChild } from '../support/child.js';
import { dataFiles, temporaryDirectory } from '../support/directories.js';
import { CHUNK, openEngine, payloads } from '../support/engine.js';
import { fakeGpu } from '../support/gpu.js';
import { tokens } from '../support/payload.js';

const TIMES = 25;
const COUNT = 20;
const CLEAN = { code: 0, signal: null, stderr: '' };
/** Device and cuFile take their time; what the fakes find wrong is seen after each test (test/support/gpu.ts). */
const SLOW = { KVO_FAKE_FAULTS: 'streamCopy:delay=3;read:delay=3;write:delay=3' };

/** A directory with the payloads that a child retrieves. */
async function filled(): Promise<string> {
  const base = temporaryDirectory();
  await (await openEngine({ base })).store(tokens(COUNT * CHUNK), payloads(COUNT));
  return base;
}

async function expectSound(base: string): Promise<void> {
  const engine = await openEngine({ base });
  for (const path of dataFiles(base)) expect((await engine.readChunk({ path })).bytes).toHaveLength(2048);
}

async function inTurns(calls: readonly (() => Promise<Finished>)[]): Promise<Finished[]> {
  const results: Finished[] = [];
  const waiting = [...calls];
  const worker = async () => {
    for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) results.push(await call());
  };
  await Promise.all(Array.from({ length: cpus().length }, worker));
  return results;
}

const child = (base: string, transport: string, more: object) =>
  runChild(
    'gpu-midway',
    { setup: { base, own: fakeGpu({ transport, checksums: true }) }, seed: 1, ...more },
    { env: SLOW },
  );

describe.each(['staged', 'gds'])('in the midst of transfers, %s', (transport) => {
  it(`process.exit ends at once and quietly, ${TIMES} times`, async () => {
    const base = await filled();
    const calls = Array.from(
      { length: TIMES },
      (_, i) => () => child(base, transport, { seed: i + 1, afterMs: i, how: i % 5 === 4 ? 'close' : 'exit' }),
    );
    for (const finished of await inTurns(calls)) expect(finished).toMatchObject(CLEAN);
    await expectSound(base);
  });

  it(`terminate of a worker leaves the process sound, ${TIMES} times`, async () => {
    const base = await filled();
    const finished = await child(base, transport, { how: 'terminate', times: TIMES });
    expect(finished).toMatchObject({ ...CLEAN, stdout: JSON.stringify({ terminated: TIMES }) });
    await expectSound(base);
  });

  it('processes that are started change nothing', async () => {
    const base = await filled();
    const argument = { setup: { base, own: fakeGpu({ transport }) }, seed: 7, how: 'spawn', times: 20 };
    const told = await childResult('gpu-midway', argument, { env: SLOW });
    expect(told).toEqual({ present: COUNT, usable: COUNT * CHUNK, failed: 0, same: true });
    await expectSound(base);
  });

  it('process.exit does not wait for a device that hangs', async () => {
    const base = await filled();
    const setup = { base, settings: { blocking_timeout_secs: 0.1 }, own: fakeGpu({ transport }) };
    for (const afterMs of [20, 300]) {
      const faults = { KVO_FAKE_FAULTS: 'streamCopy:hang@2;read:hang@4;write:hang@4' };
      expect(await runChild('gpu-midway', { setup, seed: 1, afterMs, how: 'exit' }, { env: faults })).toMatchObject(
        CLEAN,
      );
    }
  });
});
