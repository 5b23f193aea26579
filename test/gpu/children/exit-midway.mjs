// @ts-check
/** Ends the process in the midst of transfers. */
import { argument, report } from '../../process/children/cache.mjs';
import { moveForever } from './gpu.mjs';

/** @type {{ setup: import('./gpu.mjs').Setup, count: number, seed: number, afterMs: number }} */
const { setup, count, seed, afterMs } = argument();
await moveForever(setup, count, seed);
setTimeout(() => {
  report({ ended: true });
  process.exit(0);
}, afterMs);
