// @ts-check
/** Retrieves into memory, with or without a call that hangs, forgets all of it, and reports whether it was collected. */
import { CHUNK, CHUNK_BYTES, argument, openEngine, report, tokens } from './cache.mjs';

/** @type {{ base: string, memory: 'slot' | 'region' | 'own', hang: boolean }} */
const { base, memory, hang } = argument();

/** @returns {Promise<WeakRef<ArrayBufferLike>>} */
async function retrieveAndForget() {
  const engine = await openEngine({
    base,
    settings: { blocking_timeout_secs: 0.2 },
    ...(hang && { faults: 'fstat:delay=3600000@1x1' }),
  });
  const [slot] = await engine.lease(1);
  const own = new Uint8Array(CHUNK_BYTES);
  const region = engine.register(own);
  const used = new WeakRef(memory === 'slot' ? slot.bytes.buffer : own.buffer);
  const target = memory === 'slot' ? slot : memory === 'region' ? { memory: region } : own;
  const { chunks } = await engine.retrieve(tokens(CHUNK), [target]);
  if (chunks[0].outcome !== (hang ? 'failed' : 'hit')) throw new Error(`the chunk was ${chunks[0].outcome}`);
  slot.release();
  if (!(hang && memory === 'region')) region.release();
  await engine.close();
  return used;
}

const used = await retrieveAndForget();
for (let i = 0; i < 30 && used.deref() !== undefined; i++) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.gc?.();
}
report({ collected: used.deref() === undefined });
