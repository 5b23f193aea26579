/** The memory's own ceiling: each of so many threads copies between two buffers of its own. */
import { Worker } from 'node:worker_threads';

/** Text, since a worker's file would have to be found after bundling. */
const COPY = `
const { parentPort, workerData } = require('node:worker_threads');
const { bytes, rounds } = workerData;
const from = Buffer.alloc(bytes, 1);
const to = Buffer.alloc(bytes, 2);
parentPort.on('message', () => {
  for (let round = 0; round < rounds; round++) from.copy(to);
  parentPort.postMessage(null);
});
parentPort.postMessage(null);
`;
/** Beyond the caches of today's processors. */
const BYTES = 64 * 2 ** 20;
const ROUNDS = 4;

/** What `measureMemcpy` holds in memory. */
export function memcpyMemory(threads: number): number {
  return 2 * BYTES * threads;
}

/** GB/s of all threads together, one figure a repeat. */
export async function measureMemcpy(threads: number, repeats: number): Promise<number[]> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(COPY, { eval: true, workerData: { bytes: BYTES, rounds: ROUNDS } }),
  );
  const all = () =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            worker.once('message', () => {
              resolve();
            });
            worker.once('error', reject);
          }),
      ),
    );
  try {
    await all();
    const rates: number[] = [];
    for (let repeat = -1; repeat < repeats; repeat++) {
      const done = all();
      const began = performance.now();
      for (const worker of workers) worker.postMessage(null);
      await done;
      // The first pass warms up.
      if (repeat >= 0) rates.push((BYTES * ROUNDS * threads) / ((performance.now() - began) / 1000) / 1e9);
    }
    return rates;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
