/** What changed between two reports beyond what a repeat of the same run may change. */
import type { Report, Row } from './schema.js';

/** A change smaller than this is none, however little the repeats scatter: the next boot may make as much. */
const LEAST_CHANGE = 0.05;

export type Verdict = 'better' | 'worse' | 'same' | 'unclear';

export interface Change {
  readonly row: Row;
  readonly other: Row;
  /** Second median over first. */
  readonly ratio: number;
  readonly verdict: Verdict;
}

export interface Comparison {
  /** What differs in where and how they were measured: then a change may come from that. */
  readonly conditions: readonly string[];
  readonly changes: readonly Change[];
  readonly onlyFirst: readonly string[];
  readonly onlySecond: readonly string[];
}

/** Compares rows of the same id. Shares of the time are compared as ratios of a row to what stood beside it. */
export function compareReports(first: Report, second: Report): Comparison {
  const seconds = new Map(second.rows.map((row) => [row.id, row]));
  const firsts = new Set(first.rows.map(({ id }) => id));
  const changes = first.rows.flatMap((row): Change[] => {
    const other = seconds.get(row.id);
    if (other?.unit !== row.unit) return [];
    return [{ row, other, ratio: other.median / row.median, verdict: judge(row, other) }];
  });
  return {
    conditions: conditionsThatDiffer(first, second),
    changes,
    onlyFirst: first.rows.filter(({ id }) => !seconds.has(id)).map(({ id }) => id),
    onlySecond: second.rows.filter(({ id }) => !firsts.has(id)).map(({ id }) => id),
  };
}

/**
 * A change counts where the repeats of one all lie beyond those of the other and the medians differ by more than 5%.
 * `unclear`: the medians differ by more, and the repeats overlap.
 */
function judge(row: Row, other: Row): Verdict {
  const ratio = other.median / row.median;
  if (Math.abs(ratio - 1) <= LEAST_CHANGE) return 'same';
  const apart = other.least > row.greatest || other.greatest < row.least;
  if (!apart) return 'unclear';
  return ratio > 1 === (row.unit === 'GB/s') ? 'better' : 'worse';
}

function conditionsThatDiffer(first: Report, second: Report): string[] {
  const facts = ({ machine, versions, filesystem, transport, settings, device }: Report): Record<string, unknown> => {
    const { loadAverage: _, ...hardware } = machine;
    const { path: __, ...mount } = filesystem;
    return {
      ...hardware,
      ...versions,
      ...mount,
      ...transport,
      ...settings,
      device: device?.name ?? 'none',
      driver: device?.driver,
      ...device?.details,
    };
  };
  const [a, b] = [facts(first), facts(second)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) => {
    const [from, to] = [String(a[name]), String(b[name])];
    return from === to ? [] : [`${name}: ${from} → ${to}`];
  });
}
