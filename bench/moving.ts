/** Throughput of large chunks against the plain C++ loop, fio and Node's own calls: rows of `kv-offload bench`. */
import type { Cell } from '../src/cli/bench/cell-context.js';
import { measureCell } from '../src/cli/bench/cell.js';
import { fioVersion } from '../src/cli/bench/contenders.js';
import { presetOf } from '../src/cli/bench/presets.js';
import type { Row } from '../src/cli/bench/schema.js';
import type { Figure, Target } from './pairs.js';

export interface MovingOptions {
  readonly directory: string;
  readonly threads: number;
  readonly pairs: number;
  /** Bytes moved a run. */
  readonly total: number;
  readonly plainIo: string | undefined;
  readonly direct: boolean;
}

/** Sums off: what moving costs. */
export async function benchMoving(options: MovingOptions, chunk: string): Promise<Figure[]> {
  const { threads, direct, directory, pairs, plainIo } = options;
  const preset = presetOf(chunk);
  const chunks = Math.max(2, Math.floor(options.total / preset.chunkBytes));
  const cell: Cell = { preset, chunks, threads, depth: chunks, direct, sums: false };
  const rows = await measureCell(cell, {
    directory,
    repeats: pairs,
    operations: new Set(['store', 'retrieve']),
    plainIo,
    fio: (await fioVersion()) !== undefined,
    nodePeers: true,
    gpu: undefined,
    own: {},
    opened: () => undefined,
    cold: false,
    idleP99: 0,
    signal: new AbortController().signal,
    late: () => false,
    note: () => undefined,
    step: () => undefined,
  });
  return rows.filter(({ by }) => by === 'kv-offload').flatMap((row) => figuresOf(row, rows));
}

function figuresOf(row: Row, rows: readonly Row[]): Figure[] {
  return Object.entries(row.ratios ?? {}).map(([by, { median, least, greatest }]): Figure => {
    const other = rows.find((one) => one.by === by && one.operation === row.operation);
    const target = targetOf(row, by);
    return {
      name: `${row.operation} ${row.chunk} × ${row.chunks}, ${row.threads} threads, ${row.io}, sums off: of ${by}`,
      value: median,
      least,
      greatest,
      unit: '×',
      from: `${row.median.toFixed(2)} against ${other?.median.toFixed(2) ?? '-'} GB/s`,
      ...(target && { target }),
    };
  });
}

const MIB = 2 ** 20;

function targetOf({ operation, chunkBytes, io }: Row, by: string): Target | undefined {
  if (io === 'direct') return by.startsWith('fio') ? { least: 0.95 } : undefined;
  if (by === 'plain-cpp') return { least: chunkBytes > MIB ? 0.95 : 0.92 };
  return by === 'fs-promises' && operation === 'retrieve' ? { least: 2 } : undefined;
}
