import { describe, expect, it } from 'vitest';

import { OPERATION, OWN_MEMORY, planExists, planLoads, planProbes, planStores, segmentBytes } from '../../src/plan.js';

const MIB = 2 ** 20;

describe('a plan', () => {
  it('joins paths by NUL, and has an entry an operation in every array', () => {
    for (const [plan, kind] of [
      [planExists(['/a', '/b']), OPERATION.exists],
      [planProbes(['/a', '/b']), OPERATION.probe],
    ] as const) {
      expect(plan.paths).toBe('/a\0/b');
      expect([...plan.kinds]).toEqual([kind, kind]);
      expect([plan.flags.length, plan.sumAt.length, plan.sumBlock.length, plan.segmentStart.length]).toEqual([
        2, 2, 2, 3,
      ]);
      expect([plan.headers.length, plan.segments.length, plan.memory.length]).toEqual([0, 0, 0]);
    }
  });

  it('of nothing is empty', () => {
    const plan = planLoads([], []);
    expect([plan.kinds.length, plan.paths, plan.segmentStart.length]).toEqual([0, '', 1]);
  });

  it('packs the segments of all operations one behind the other', () => {
    const memory = [new Uint8Array(8)];
    const plan = planLoads(
      [
        { path: '/a', segments: [{ region: 1, offset: 2 ** 40, length: 3 }], sums: false },
        { path: '/b', segments: [], sums: true },
        {
          path: '/c',
          segments: [
            { region: OWN_MEMORY, offset: 0, length: 5 },
            { region: OWN_MEMORY + 1, offset: 6, length: 7 },
          ],
          sums: true,
        },
      ],
      memory,
    );
    expect([...plan.segmentStart]).toEqual([0, 1, 1, 3]);
    expect([...plan.segments]).toEqual([1n, 2n ** 40n, 3n, 2n ** 32n, 0n, 5n, 2n ** 32n + 1n, 6n, 7n]);
    expect([...plan.sumBlock]).toEqual([0, 4 * MIB, 4 * MIB]);
    expect(plan.memory).toBe(memory);
    expect([...plan.kinds]).toEqual([1, 1, 1]);
  });

  it('has each store write its header in its place, and its flags', () => {
    const store = (path: string, sync: boolean, replace: boolean, fill: number) => ({
      path,
      segments: [],
      sumBlock: 4 * MIB,
      sync,
      replace,
      writeHeader: (headers: Uint8Array, at: number) => {
        headers.fill(fill, at, at + 4096);
        return fill * 10;
      },
    });
    const plan = planStores([store('/a', true, false, 1), store('/b', false, true, 2), store('/c', true, true, 3)], []);
    expect([...plan.flags]).toEqual([1, 2, 3]);
    expect([...plan.sumAt]).toEqual([10, 20, 30]);
    expect([0, 4095, 4096, 8191, 8192].map((at) => plan.headers[at])).toEqual([1, 1, 2, 2, 3]);
    expect(plan.headers.length).toBe(3 * 4096);
  });
});

describe('segments', () => {
  it('have the bytes of all of them', () => {
    const segments = [1, 2, 2 ** 40].map((length) => ({ region: 1, offset: 0, length }));
    expect(segmentBytes(segments)).toBe(2 ** 40 + 3);
    expect(segmentBytes([])).toBe(0);
  });
});
