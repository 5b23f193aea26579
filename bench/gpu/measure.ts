/** One side's runs of one row, and two sides in turn. */
import { median } from '../../src/cli/bench/statistics.js';

/** What one run cost. */
export interface Cost {
  readonly seconds: number;
  /** CPU seconds of the whole process, user and system. */
  readonly cpu: number;
}

/** Runs of one thing, as figures. */
export interface Figures {
  /** GB/s. */
  readonly best: number;
  readonly median: number;
  /** CPU seconds a GiB, median. */
  readonly cpu: number;
  /** Microseconds a chunk, median. */
  readonly us: number;
}

/** Seconds and CPU seconds of this process that something takes. */
export async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const before = process.cpuUsage();
  const start = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpu: (user + system) / 1e6 };
}

export function figures(costs: readonly Cost[], chunks: number, chunkBytes: number): Figures {
  const total = chunks * chunkBytes;
  const times = costs.map((one) => one.seconds);
  return {
    best: total / Math.min(...times) / 1e9,
    median: total / median(times) / 1e9,
    cpu: median(costs.map((one) => one.cpu)) / (total / 2 ** 30),
    us: (median(times) / chunks) * 1e6,
  };
}

/** A B B A …, so that a machine whose speed drifts slows both. Both are warm: run once before. */
export async function inTurn(
  runs: number,
  first: () => Promise<Cost>,
  second: () => Promise<Cost>,
): Promise<{ first: Cost[]; second: Cost[]; ratio: number }> {
  const costs = { first: [] as Cost[], second: [] as Cost[] };
  for (let run = 0; run < runs; run++) {
    if (run % 2 === 1) costs.second.push(await second());
    costs.first.push(await first());
    if (run % 2 === 0) costs.second.push(await second());
  }
  // How many times faster the first is.
  const ratios = costs.first.map(({ seconds }, i) => (costs.second[i]?.seconds ?? NaN) / seconds);
  return { ...costs, ratio: median(ratios) };
}
