/** The ends of processes and workers that use a GPU, in the midst of transfers or not: no crash, no hang, files whole. */
import { describe, expect, it } from 'vitest';
import { runChild } from '../support/child.js';
import { dataFiles, temporaryDirectory } from '../support/directories.js';
import { tokens } from '../support/payload.js';
import { fill, onGpu, openGpuEngine, poison, setupOf, wrong } from './gpu.js';

const TIMES = 5;
const COUNT = 16;
const BYTES = 2 ** 22;
const children = '../../gpu/children/';

onGpu.each(['staged', 'gds'])('ends, transport %s', (transport) => {
  const own = { transport, checksums: true };
  const setup = (base: string) => ({ base, bytes: BYTES, chunks: 2 * COUNT, own });

  /** A directory with a prompt; returns what tells whether all of it is as it was. */
  const filled = async () => {
    const base = temporaryDirectory();
    const engine = await openGpuEngine(setup(base));
    const slots = await engine.lease(COUNT);
    const sources = fill(slots);
    expect((await engine.store(tokens(COUNT), slots)).present).toBe(COUNT);
    const expectSound = async () => {
      poison(slots);
      expect((await engine.retrieve(tokens(COUNT), slots)).tokens).toBe(COUNT);
      expect(wrong(slots, sources)).toEqual([]);
      for (const path of dataFiles(base)) expect(await engine.readChunk({ path })).toMatchObject({ verified: true });
    };
    return { base, expectSound };
  };

  describe('process.exit in the midst of transfers', () => {
    it(`ends quietly, ${TIMES} times`, async () => {
      const { base, expectSound } = await filled();
      for (let time = 0; time < TIMES; time++) {
        const argument = { setup: setupOf(setup(base)), count: COUNT, seed: time + 1, afterMs: time * 9 };
        const ended = await runChild(`${children}exit-midway`, argument);
        expect(ended).toEqual({ code: 0, signal: null, stderr: '', stdout: '{"ended":true}' });
      }
      await expectSound();
    });
  });

  describe('a process with nothing more to do', () => {
    it(`ends quietly, ${TIMES} times`, async () => {
      const { base, expectSound } = await filled();
      for (let time = 0; time < TIMES; time++) {
        const argument = { setup: setupOf(setup(base)), count: COUNT, closes: time % 2 === 0 };
        const ended = await runChild(`${children}end-itself`, argument);
        expect(ended).toEqual({ code: 0, signal: null, stderr: '', stdout: JSON.stringify({ retrieved: COUNT }) });
      }
      await expectSound();
    });
  });

  describe('terminate of a worker in the midst of transfers', () => {
    it(`leaves the process sound, ${TIMES} times`, async () => {
      const { base, expectSound } = await filled();
      const argument = { setup: setupOf(setup(base)), count: COUNT, times: TIMES };
      const expected = { retrieved: COUNT, counted: transport === 'gds' };
      const ended = await runChild(`${children}terminate-workers`, argument);
      expect(ended).toEqual({ code: 0, signal: null, stderr: '', stdout: JSON.stringify(expected) });
      await expectSound();
    });
  });
});
