// @ts-check
/** A worker that says so once its transfers are under way. */
import { parentPort, workerData } from 'node:worker_threads';
import { CHUNK, openEngine, payloads, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, seed: number }} */
const { setup, seed } = workerData;
const engine = await openEngine(setup);
const [slot] = await engine.lease(1);
void engine.store(tokens(20 * CHUNK, seed), [slot, ...payloads(19, seed)]);
void engine.retrieve(tokens(20 * CHUNK), targets(20));
parentPort?.postMessage('under way');
// Awaited, so that the worker does not end by itself.
await engine.retrieve(tokens(20 * CHUNK), targets(20));
