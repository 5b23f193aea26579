/** Stores and retrieves of whole batches: ours and plain C++ in turn, every byte compared once. */
import { join } from 'node:path';
import type { TransportInfo } from 'kv-offload';
import type { PlainGpu, PlainRun } from '../../src/cli/bench/plain-gpu.js';
import { setAside } from '../../src/cli/bench/set-aside.js';
import { type Cost, cost, figures, inTurn } from './measure.js';
import { Ours } from './ours.js';
import type { Row } from './rows.js';

/** One place and size to measure. */
export interface Shape {
  /** Where files go, and the filesystem's name. */
  readonly directory: string;
  readonly on: string;
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly threads: number;
  readonly checksums?: boolean;
  readonly segment?: number;
  readonly transport?: 'auto' | 'staged' | 'gds';
}

export async function benchMoves(plain: PlainGpu, shape: Shape, runs: number): Promise<Row[]> {
  const { chunkBytes, chunks, threads, segment, checksums = false } = shape;
  const base = join(shape.directory, 'ours');
  const plainRun: PlainRun = {
    directory: join(shape.directory, 'plain'),
    files: chunks,
    bytes: chunkBytes,
    threads,
    ...(segment !== undefined && { segment }),
  };
  const ceiling = await plain.ceiling();
  const { transport = 'staged' } = shape;
  try {
    await using ours = await Ours.open({ ...shape, directory: base, checksums, transport });
    ours.fill();

    const store = async () => {
      setAside(base);
      return cost(() => ours.store());
    };
    const plainStore = () => plain.run('store', plainRun);
    await plain.run('store', { ...plainRun, check: true });
    await store();
    const stored = await inTurn(Math.max(2, runs - 2), store, plainStore);
    const storedRight = ours.filesHold();

    const retrieve = () => cost(() => ours.retrieve());
    const plainLoad = () => plain.run('load', plainRun);
    await plain.run('load', { ...plainRun, check: true });
    ours.poison();
    await retrieve();
    const retrievedRight = ours.deviceHolds();
    const retrieved = await inTurn(runs, retrieve, plainLoad);

    const row = (what: string, turns: typeof stored, pinned: number, verified: boolean): Row => {
      const of = (costs: readonly Cost[]) => figures(costs, chunks, chunkBytes);
      const note = notes(shape, ours.transport);
      const mine = of(turns.first);
      return {
        ...{ what, who: 'ours', on: shape.on, chunkBytes, chunks, threads, verified },
        ...(note !== '' && { note }),
        ...{ ours: mine, plain: of(turns.second), ofPlain: turns.ratio },
        ...{ ceiling: pinned, ofCeiling: mine.median / pinned },
      };
    };
    return [
      row('retrieve', retrieved, ceiling.toDevice, retrievedRight),
      row('store', stored, ceiling.toHost, storedRight),
    ];
  } finally {
    setAside(base);
    setAside(plainRun.directory);
  }
}

function notes({ checksums, segment, transport }: Shape, { kind, reason }: TransportInfo): string {
  return [
    ...(segment === undefined ? [] : [`segments of ${segment / 1024} KiB`]),
    ...(checksums === true ? ['sums on'] : []),
    ...(transport === undefined ? [] : [`transport ${transport}, moved by ${kind}: ${reason}`]),
  ].join(', ');
}
