// @ts-check
/** Leaves engines open in one of several states; whether the process ends by itself is for the test to see. */
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, leave: 'unused' | 'used' | 'transferring' | 'waiting' | 'closing' }} */
const { setup, leave } = argument();
const engine = await openEngine(setup);
if (leave !== 'unused') {
  await engine.store(tokens(4 * CHUNK), payloads(4));
  await engine.retrieve(tokens(4 * CHUNK), targets(4));
}
switch (leave) {
  case 'transferring':
    // Nothing else keeps the process: it must stay for this.
    void engine.store(tokens(4 * CHUNK, 1), payloads(4, 1)).then(({ present }) => report({ present }));
    break;
  case 'waiting':
    await engine.lease(engine.stats().slots.total);
    void engine.lease(1, { timeoutMs: 50 }).catch((error) => report({ code: error.code }));
    break;
  case 'closing':
    void engine.store(tokens(4 * CHUNK, 1), payloads(4, 1));
    void engine.close().then((closed) => report(closed));
    break;
  default:
    report({ left: leave });
}
