// @ts-check
/** Starts workers one after the other, and terminates each while its transfers are under way. */
import { Worker } from 'node:worker_threads';
import { argument, report } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, times: number, exit?: boolean }} */
const { setup, times, exit = false } = argument();
const script = new URL('transferring-worker.mjs', import.meta.url);

let terminated = 0;
for (let time = 0; time < times; time++) {
  const worker = new Worker(script, { workerData: { setup, seed: time } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => setTimeout(resolve, time % 10));
  // The last one is ended by the process's own end.
  if (exit && time === times - 1) break;
  await worker.terminate();
  terminated++;
}
report({ terminated });
if (exit) process.exit(0);
