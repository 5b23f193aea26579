/** The nearest known name to a misspelt one. */

/** Names longer than this are compared by their start: no setting is as long, and the cost is quadratic. */
const COMPARED = 64;

/** Levenshtein's distance: insertions, deletions and replacements that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const inserted = (current[column - 1] ?? 0) + 1;
      const deleted = (previous[column] ?? 0) + 1;
      current.push(Math.min(replaced, inserted, deleted));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/**
 * The candidate with the fewest edits to `name`, letter case aside; the first of equals.
 *
 * @returns undefined only where there is no candidate
 */
export function nearest(name: string, candidates: Iterable<string>): { name: string; distance: number } | undefined {
  const wanted = name.slice(0, COMPARED).toLowerCase();
  let best: { name: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (best === undefined || distance < best.distance) best = { name: candidate, distance };
  }
  return best;
}
