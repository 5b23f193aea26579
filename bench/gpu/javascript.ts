/** What the library costs beside the bytes: a batch of chunks of one byte each. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setAside } from '../../src/cli/bench/set-aside.js';
import { median } from '../../src/cli/bench/statistics.js';
import { cost } from './measure.js';
import { Ours } from './ours.js';

/** Microseconds a chunk: of the whole call, and of the event loop alone, which is JavaScript and the crossing. */
export interface BatchCost {
  readonly what: string;
  readonly chunks: number;
  readonly threads: number;
  readonly call: number;
  readonly loop: number;
}

export async function benchJavaScript(
  directory: string,
  chunks: number,
  threads: number,
  runs: number,
): Promise<BatchCost[]> {
  const base = join(directory, 'one-byte');
  try {
    await using ours = await Ours.open({
      ...{ directory: base, chunkBytes: 1, chunks, threads },
      ...{ checksums: false, transport: 'staged' },
    });
    const measured = async (what: string, work: () => Promise<void>, before: () => void): Promise<BatchCost> => {
      const calls: number[] = [];
      const loops: number[] = [];
      for (let run = 0; run <= runs; run++) {
        before();
        const start = performance.eventLoopUtilization();
        const { seconds } = await cost(work);
        const { active } = performance.eventLoopUtilization(start);
        // The first warms up.
        if (run === 0) continue;
        calls.push((seconds / chunks) * 1e6);
        loops.push((active / chunks) * 1e3);
      }
      return { what, chunks, threads, call: median(calls), loop: median(loops) };
    };
    const store = await measured(
      'store',
      () => ours.store(),
      () => setAside(base),
    );
    const retrieve = await measured(
      'retrieve',
      () => ours.retrieve(),
      () => undefined,
    );
    return [retrieve, store];
  } finally {
    setAside(base);
  }
}

export function batchCostLine({ what, chunks, threads, call, loop }: BatchCost): string {
  return `${what} of ${chunks} chunks of one byte, ${threads} threads: ${call.toFixed(2)} µs a chunk, ${loop.toFixed(2)} of them in JavaScript's thread`;
}
