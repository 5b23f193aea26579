/** Figures and what they are held against, measured in turn: a machine whose speed drifts slows both. */
import { ratioOf, spreadOf } from '../src/cli/bench/statistics.js';

/** What a figure must be at most or at least. */
export interface Target {
  readonly least?: number;
  readonly most?: number;
}

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly least: number;
  readonly greatest: number;
  /** What it was made from. */
  readonly from: string;
  /** Absent where nothing is aimed at. */
  readonly target?: Target;
}

/** One measurement, in the figure's unit. */
export type Measure = () => Promise<number> | number;

export interface Pairs {
  readonly ours: number[];
  readonly reference: number[];
}

/** Measures both in turn after one warm-up each. */
export async function inPairs(ours: Measure, reference: Measure, pairs: number): Promise<Pairs> {
  await reference();
  await ours();
  const measured: Pairs = { ours: [], reference: [] };
  for (let pair = 0; pair < pairs; pair++) {
    // The order alternates too: whoever comes second finds warmer caches.
    if (pair % 2 === 0) measured.reference.push(await reference());
    measured.ours.push(await ours());
    if (pair % 2 === 1) measured.reference.push(await reference());
  }
  return measured;
}

/** Ours over the reference. */
export function ratioFigure(name: string, pairs: Pairs, what: string, unit: string, target?: Target): Figure {
  const { median, least, greatest } = ratioOf(pairs.ours, pairs.reference);
  return {
    name,
    value: median,
    least,
    greatest,
    unit: '×',
    from: fromOf(pairs, what, unit),
    ...(target && { target }),
  };
}

/** Ours less the reference. */
export function excessFigure(name: string, pairs: Pairs, what: string, unit: string, target?: Target): Figure {
  const { median, least, greatest } = spreadOf(pairs.ours.map((value, i) => value - (pairs.reference[i] ?? NaN)));
  return { name, value: median, least, greatest, unit, from: fromOf(pairs, what, unit), ...(target && { target }) };
}

/** A figure by itself. */
export function plainFigure(
  name: string,
  values: readonly number[],
  unit: string,
  from: string,
  target?: Target,
): Figure {
  const { median, least, greatest } = spreadOf(values);
  return { name, value: median, least, greatest, unit, from, ...(target && { target }) };
}

function fromOf({ ours, reference }: Pairs, what: string, unit: string): string {
  return `${spreadOf(ours).median.toFixed(2)} against ${spreadOf(reference).median.toFixed(2)} ${unit} (${what})`;
}

/** Whether the figure is what is aimed at; undefined where nothing is. */
export function isMet({ value, target }: Figure): boolean | undefined {
  return target === undefined ? undefined : value >= (target.least ?? -Infinity) && value <= (target.most ?? Infinity);
}

/** Seconds that something takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}
