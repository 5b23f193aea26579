/** Two things measured in turn, A B A B …, so that a machine whose speed drifts slows both: the ratio is what holds. */

/** One comparison. */
export interface Row {
  readonly name: string;
  /** What stands in the reference's place. */
  readonly against: string;
  /** Medians, in `unit`. */
  readonly ours: number;
  readonly reference: number;
  readonly unit: string;
  /** Median of the pairs' ratios ours / reference, with the least and the greatest. */
  readonly ratio: number;
  readonly spread: readonly [number, number];
  /** The figure to reach, such as `≥ 0.9`. */
  readonly target?: string;
}

/** One measurement: what it gave, in the row's unit. */
export type Measure = () => Promise<number> | number;

/** Measures both in turn after one warm-up each. */
export async function compare(
  row: Pick<Row, 'name' | 'against' | 'unit' | 'target'>,
  ours: Measure,
  reference: Measure,
  pairs: number,
): Promise<Row> {
  await reference();
  await ours();
  const a: number[] = [];
  const b: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // The order alternates too: whoever comes second finds warmer caches.
    if (pair % 2 === 0) b.push(await reference());
    a.push(await ours());
    if (pair % 2 === 1) b.push(await reference());
  }
  const ratios = a.map((value, i) => value / (b[i] ?? NaN)).sort((x, y) => x - y);
  return {
    ...row,
    ours: median(a),
    reference: median(b),
    ratio: median(ratios),
    spread: [ratios[0] ?? NaN, ratios.at(-1) ?? NaN],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Seconds that something takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}
