import { describe, expect, it } from 'vitest';
import { cellsOf, needsOf } from '../../src/cli/bench/sweep.js';
import { presetOf } from '../../src/cli/bench/presets.js';
import { type WorkloadOptions, mostTokens, requestsOf } from '../../src/cli/bench/workload.js';
import { requireRoom } from '../../src/cli/bench/workspace.js';
import { temporaryDirectory } from '../support/directories.js';
import { rejection } from '../support/outcomes.js';

const OPTIONS: WorkloadOptions = {
  seed: 7,
  users: 5,
  turns: 4,
  systemTokens: 100,
  documents: 3,
  documentTokens: 200,
  turnTokens: 50,
};

describe('a workload', () => {
  const requests = [...requestsOf(OPTIONS)];

  it('is the same for the same seed, and another for another', () => {
    expect([...requestsOf(OPTIONS)]).toEqual(requests);
    expect([...requestsOf({ ...OPTIONS, seed: 8 })]).not.toEqual(requests);
  });

  it('has every turn of every user, in order', () => {
    expect(requests).toHaveLength(20);
    for (let user = 0; user < 5; user++) {
      const own = requests.filter((request) => request.user === user);
      expect(own.map(({ turn }) => turn)).toEqual([0, 1, 2, 3]);
      for (const [i, { tokens }] of own.entries()) {
        const before = own[i - 1]?.tokens ?? new Uint32Array();
        expect(tokens.subarray(0, before.length)).toEqual(before);
        expect(tokens.length - Math.max(before.length, 300)).toBeGreaterThanOrEqual(25);
      }
    }
  });

  it('begins alike for all, and goes on with one of the documents', () => {
    const firsts = requests.filter(({ turn }) => turn === 0).map(({ tokens }) => tokens);
    expect(new Set(firsts.map((tokens) => tokens.subarray(0, 100).join())).size).toBe(1);
    expect(new Set(firsts.map((tokens) => tokens.subarray(100, 300).join())).size).toBeLessThanOrEqual(3);
  });

  it('takes no more tokens than it says', () => {
    const longest = new Map<number, number>();
    for (const { user, tokens } of requests) longest.set(user, tokens.length);
    const own = [...longest.values()].reduce((sum, length) => sum + length - 300, 0);
    expect(own + 100 + 3 * 200).toBeLessThanOrEqual(mostTokens(OPTIONS));
  });
});

describe('a sweep', () => {
  const common = {
    chunks: undefined,
    footprint: 64 * 2 ** 20,
    threads: [1, 2],
    depths: [4],
    direct: [false],
    sums: [true],
  };
  const cells = cellsOf({ ...common, presets: [presetOf('1MiB'), presetOf('llama-3.1-8b')] });

  it('has every combination, with as many chunks as its footprint holds', () => {
    expect(cells.map(({ preset, chunks, threads }) => [preset.name, chunks, threads])).toEqual([
      ['1MiB', 64, 1],
      ['1MiB', 64, 2],
      ['llama-3.1-8b', 2, 1],
      ['llama-3.1-8b', 2, 2],
    ]);
  });

  it('asks for room for everyone’s files at once', () => {
    const alone = needsOf(cells, 3, 0, false);
    const all = needsOf(cells, 3, 4, true);
    expect(alone.diskBytes).toBeGreaterThanOrEqual(64 * 2 ** 20);
    expect(all.diskBytes).toBeGreaterThanOrEqual(5 * 64 * 2 ** 20);
    expect(all.memoryBytes).toBeGreaterThan(alone.memoryBytes);
  });
});

describe('room', () => {
  const needs = { diskBytes: 1, memoryBytes: 1, files: 1 };

  it('that is there is taken, and what is not is refused beforehand', async () => {
    const directory = temporaryDirectory();
    await requireRoom(directory, needs);
    const codeOf = async (more: Partial<typeof needs>) =>
      (await rejection(requireRoom(directory, { ...needs, ...more }))).code;
    expect(await codeOf({ diskBytes: 2 ** 60 })).toBe('KVO_NO_SPACE');
    expect(await codeOf({ memoryBytes: 2 ** 60 })).toBe('KVO_NO_SPACE');
  });
});
