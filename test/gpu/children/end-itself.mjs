// @ts-check
/** Retrieves, with or without a close() after it, and has nothing more to do. */
import { argument, report } from '../../process/children/cache.mjs';
import { openEngine, tokens } from './gpu.mjs';

/** @type {{ setup: import('./gpu.mjs').Setup, count: number, closes: boolean }} */
const { setup, count, closes } = argument();
const engine = await openEngine(setup);
const { tokens: retrieved } = await engine.retrieve(tokens(count), await engine.lease(count));
if (closes) await engine.close();
report({ retrieved });
