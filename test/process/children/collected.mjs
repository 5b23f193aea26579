// @ts-check
/** Opens engines without closing them, and lets them be collected; reports threads and descriptors before and after. */
import { readdirSync, readlinkSync } from 'node:fs';
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, engines: number, close: boolean }} */
const { setup, engines, close } = argument();

const threads = () => readdirSync('/proc/self/task').length;
const descriptors = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(setup.base);
    } catch {
      return false;
    }
  }).length;

async function useOne() {
  const engine = await openEngine(setup);
  const slots = await engine.lease(2);
  await engine.store(tokens(2 * CHUNK), slots);
  await engine.store(tokens(2 * CHUNK, 1), payloads(2));
  await engine.retrieve(tokens(2 * CHUNK), targets(2));
  if (close) await engine.close();
}

await useOne();
await collect();
const before = threads();
let most = 0;
for (let i = 0; i < engines; i++) {
  await useOne();
  most = Math.max(most, threads());
}
await collect();
report({ before, most, after: threads(), descriptors: descriptors() });

/** Runs the collector and its finalizers until nothing more goes. */
async function collect() {
  for (let i = 0, last = -1; i < 50 && (last !== threads() || i < 5); i++) {
    last = threads();
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
