/** Limits of the process: open files. */
import { describe, expect, it } from 'vitest';
import { childResult } from '../support/child.js';
import { leftovers, temporaryDirectory } from '../support/directories.js';

describe('a limit on open files', () => {
  it('is kept to: what is kept open for reading is closed before a call fails for want of a descriptor', async () => {
    const base = temporaryDirectory();
    const chunks = 200;
    const seeds = [...Array(chunks).keys()];
    const stored = seeds.map((seed) => ({ call: 'store', chunks: 1, seed }));
    // One more file is kept open each time, so the limit is met by each of the calls.
    const mixed = seeds.flatMap((seed) => [
      { call: 'retrieve', chunks: 1, seed },
      { call: 'store', chunks: 1, seed: chunks + seed },
      { call: 'store', chunks: 1, seed },
    ]);
    // Node itself wants some for its modules.
    const { results } = await childResult<{ results: unknown[] }>(
      'share',
      { setup: { base }, steps: [...stored, ...mixed] },
      { before: 'ulimit -n 160' },
    );
    const outcomes = results.map(
      (result) => (Array.isArray(result) ? result : (result as { outcomes: string[] }).outcomes)[0] as string,
    );
    expect(new Set(outcomes.slice(0, chunks))).toEqual(new Set(['stored']));
    const rest = outcomes.slice(chunks);
    expect(new Set(rest.filter((_, i) => i % 3 === 0))).toEqual(new Set(['hit']));
    expect(new Set(rest.filter((_, i) => i % 3 === 1))).toEqual(new Set(['stored']));
    expect(new Set(rest.filter((_, i) => i % 3 === 2))).toEqual(new Set(['exists']));
    expect(leftovers(base)).toEqual([]);
  });
});
