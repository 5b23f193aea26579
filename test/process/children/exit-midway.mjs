// @ts-check
/** Begins transfers, and ends the process in their midst. */
import { CHUNK, argument, openEngine, payloads, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, afterMs: number, how: 'exit' | 'throw' | 'close' }} */
const { setup, afterMs, how } = argument();
const engine = await openEngine(setup);
const slots = await engine.lease(4);
for (const slot of slots) slot.bytes.fill(7);
void engine.store(tokens(4 * CHUNK, 1), slots);
void engine.store(tokens(20 * CHUNK, 2), payloads(20, 2));
void engine.retrieve(tokens(20 * CHUNK), targets(20));
void engine.lookup(tokens(20 * CHUNK)).catch(() => undefined);
setTimeout(() => {
  if (how === 'throw') throw new Error('thrown on purpose');
  if (how === 'close') void engine.close();
  process.exit(0);
}, afterMs);
