// @ts-check
/** Starts workers one after the other, terminates each in the midst of its transfers, and then works and counts as ever. */
import { Worker } from 'node:worker_threads';
import { argument, report } from '../../process/children/cache.mjs';
import { openEngine, tokens } from './gpu.mjs';

/** @type {{ setup: import('./gpu.mjs').Setup, count: number, times: number }} */
const { setup, count, times } = argument();
const script = new URL('worker.mjs', import.meta.url);

for (let time = 0; time < times; time++) {
  const worker = new Worker(script, { workerData: { setup, count, seed: time + 1 } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => setTimeout(resolve, time * 7));
  await worker.terminate();
}
const engine = await openEngine(setup);
const { tokens: retrieved } = await engine.retrieve(tokens(count), await engine.lease(count));
const counted = (engine.stats().cufile?.reads ?? 0) > 0;
await engine.close();
report({ retrieved, counted });
