// @ts-check
/**
 * Begins transfers of GPU memory, in the main thread or in workers, and ends them in their midst: by the process's end,
 * or by terminating the workers. With `spawn` other processes are started meanwhile, and all is waited for.
 */
import { spawn } from 'node:child_process';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { CHUNK, CHUNK_BYTES, argument, openEngine, payload, report, tokens } from './cache.mjs';

const COUNT = 20;
/** @type {{ setup: import('./cache.mjs').Setup, seed: number, how: 'exit' | 'close' | 'terminate' | 'spawn', afterMs: number, times: number }} */
const { setup, seed, how, afterMs, times } = isMainThread ? argument() : workerData;

/** Stores a prompt of its own and retrieves the one that is there, into GPU memory. */
async function begin() {
  const engine = await openEngine(setup);
  const region = await engine.allocateDevice(2 * COUNT * 4096);
  const place = (/** @type {number} */ i) => ({ memory: region, offset: i * 4096, length: CHUNK_BYTES });
  const all = (/** @type {number} */ from) => Array.from({ length: COUNT }, (_, i) => place(from + i));
  for (let i = 0; i < COUNT; i++) region.copyFrom(payload(seed * 1000 + i), i * 4096);
  const stored = engine.store(tokens(COUNT * CHUNK, seed), all(0), { after: { stream: 0n } });
  const read = engine.retrieve(tokens(COUNT * CHUNK), all(COUNT));
  return { engine, region, stored, read };
}

async function inThisThread() {
  const { engine } = await begin();
  setTimeout(() => {
    if (how === 'close') void engine.close();
    process.exit(0);
  }, afterMs);
}

async function inWorkers() {
  for (let time = 0; time < times; time++) {
    const data = { setup, seed: seed + time, how, afterMs, times };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, time % 10));
    await worker.terminate();
  }
  report({ terminated: times });
}

async function besideOthers() {
  const { engine, region, stored, read } = await begin();
  const others = Array.from({ length: times }, () => {
    const child = spawn('true', { stdio: 'ignore' });
    return new Promise((resolve) => child.on('close', resolve));
  });
  const { present } = await stored;
  const { tokens: usable } = await read;
  const codes = await Promise.all(others);
  const bytes = new Uint8Array(CHUNK_BYTES);
  region.copyTo(bytes, COUNT * 4096);
  const same = Buffer.compare(bytes, payload(0)) === 0;
  await engine.close();
  report({ present, usable, failed: codes.filter((code) => code !== 0).length, same });
}

if (!isMainThread) {
  const { read } = await begin();
  parentPort?.postMessage('under way');
  // Awaited, so that the worker does not end by itself.
  await read;
} else if (how === 'terminate') {
  await inWorkers();
} else if (how === 'spawn') {
  await besideOthers();
} else {
  await inThisThread();
}
