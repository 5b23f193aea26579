// @ts-check
/** A worker that says so once its transfers are under way. */
import { parentPort, workerData } from 'node:worker_threads';
import { moveForever } from './gpu.mjs';

/** @type {{ setup: import('./gpu.mjs').Setup, count: number, seed: number }} */
const { setup, count, seed } = workerData;
await moveForever(setup, count, seed);
parentPort?.postMessage('under way');
