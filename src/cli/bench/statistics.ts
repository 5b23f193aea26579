/** Repeats, summed up; and two things measured in turn, A B, B A, …, so that a drifting machine slows both. */

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), greatest: Math.max(...values) };
}

/** The ratios of two rows' repeats, pair by pair. */
export function ratioOf(values: readonly number[], reference: readonly number[]): Spread {
  const pairs = Math.min(values.length, reference.length);
  return spreadOf(values.slice(0, pairs).map((value, i) => value / (reference[i] ?? NaN)));
}
