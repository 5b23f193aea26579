/** What is printed: a line a row as it is measured, and at the end every target with what was reached. */
import type { Figures } from './measure.js';

/** One thing measured. */
export interface Row {
  /** retrieve, store, load (a peer's), … */
  readonly what: string;
  /** ours, or the peer's name. */
  readonly who: string;
  /** Filesystem: ext4, tmpfs. */
  readonly on: string;
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly threads: number;
  /** What else sets the row apart: `sums on`, `segments of 16 KiB`. */
  readonly note?: string;
  readonly ours: Figures;
  /** Plain C++ in turn with ours, and how many times faster ours is than it (median of pairs). */
  readonly plain?: Figures;
  readonly ofPlain?: number;
  /** GB/s of a pinned copy in the same direction, and the share of it that the median reaches. */
  readonly ceiling?: number;
  readonly ofCeiling?: number;
  readonly verified: boolean;
}

/** A figure to reach, and the one that was. */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly reached: number | undefined;
  readonly met: boolean;
}

export function size(bytes: number): string {
  if (bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

export function line(row: Row): string {
  const { ours, plain, ofCeiling, ofPlain } = row;
  const where = `${row.on} ${size(row.chunkBytes)} × ${row.chunks}, ${row.threads} threads`;
  const parts = [
    `${row.who} ${row.what} ${where}${row.note === undefined ? '' : `, ${row.note}`}: ${shown(ours)}`,
    ...(ofCeiling === undefined ? [] : [`${ofCeiling.toFixed(3)} of the ceiling`]),
    ...(plain === undefined ? [] : [`plain C++ ${shown(plain)}`]),
    ...(ofPlain === undefined ? [] : [`ours / plain ${ofPlain.toFixed(3)}`]),
    row.verified ? 'verified' : 'NOT VERIFIED',
  ];
  return parts.join('; ');
}

function shown({ best, median, cpu, us }: Figures): string {
  return `${median.toFixed(1)} GB/s (best ${best.toFixed(1)}), ${cpu.toFixed(2)} CPU s/GiB, ${us.toFixed(0)} µs a chunk`;
}

export function targetLine({ name, wanted, reached, met }: Target): string {
  const figure = reached === undefined ? 'not measured' : reached.toFixed(3);
  return `${reached === undefined ? 'NONE  ' : met ? 'met   ' : 'MISSED'} ${name}: ${figure}, wanted ${wanted}`;
}
