/** Repeats, summed up; and the order in which things are measured in turn, so that a drifting machine slows all. */

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

/**
 * Another order of the same things. Who comes after whom decides what is in the processor's caches: nobody shall always
 * come after the same one, nor, where there is a choice, twice in a row.
 */
export function inAnyOrder<Thing>(before: readonly Thing[], random: () => number = Math.random): Thing[] {
  const order = [...before];
  for (let at = order.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other] as Thing, order[at] as Thing];
  }
  if (order.length > 1 && order[0] === before.at(-1)) order.push(...order.splice(0, 1));
  return order;
}
