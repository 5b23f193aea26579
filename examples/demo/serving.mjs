// @ts-check
/** Part two: the size of real serving, with seeded bytes for the KV. Each function is one process. */
import { CHUNK, chunkLengths, openCache, retrieveAll, storeAll } from './cache.mjs';
import { fillSeeded, firstDifference } from './seeded-bytes.mjs';

export const PROMPT_TOKENS = 4096;
export const DIVERGES_AT = 1500;
/** Llama-3.1-8B: layers, keys and values, tokens, KV heads, head size. */
export const KV_SHAPE = /** @type {const} */ ([32, 2, CHUNK, 8, 128]);
/** 16 slots of 32 MiB: the whole prompt at once. */
const BUFFER_MIB = 512;
const VOCABULARY = 128_256;

/** @param {string} directory */
function openFor(directory) {
  return openCache(directory, BUFFER_MIB, {
    modelName: 'meta-llama/Llama-3.1-8B',
    kvDtype: 'bfloat16',
    kvShape: KV_SHAPE,
  });
}

/**
 * Any prompt will do, so long as each process makes the same one.
 *
 * @param {number} [divergesAt] first token that differs from the stored prompt's
 */
function promptTokens(divergesAt = PROMPT_TOKENS) {
  return Array.from({ length: PROMPT_TOKENS }, (_, i) => (i * 7919 + (i < divergesAt ? 1 : 2)) % VOCABULARY);
}

/** @param {string} directory */
export async function storePrompt(directory) {
  const tokens = promptTokens();
  const engine = await openFor(directory);
  try {
    const slots = await engine.lease(chunkLengths(tokens.length).length);
    slots.forEach((slot, i) => fillSeeded(slot.bytes, i + 1));
    const transfer = await storeAll(engine, tokens, slots);
    for (const slot of slots) slot.release();
    return { transfer };
  } finally {
    await engine.close();
  }
}

/** @param {string} directory */
export const retrieveSame = (directory) => retrieveAndCheck(directory, promptTokens(), PROMPT_TOKENS);

/**
 * Only whole chunks before the first token that differs are of use.
 *
 * @param {string} directory
 */
export const retrieveDiverging = (directory) =>
  retrieveAndCheck(directory, promptTokens(DIVERGES_AT), DIVERGES_AT - (DIVERGES_AT % CHUNK));

/**
 * @param {string} directory
 * @param {number[]} tokens
 * @param {number} expected cached tokens
 */
async function retrieveAndCheck(directory, tokens, expected) {
  const engine = await openFor(directory);
  try {
    const cached = await engine.lookup(tokens);
    if (cached !== expected) throw new Error(`lookup found ${cached} tokens, not ${expected}`);
    const slots = await engine.lease(chunkLengths(cached).length);
    const transfer = await retrieveAll(engine, tokens.slice(0, cached), slots);
    slots.forEach((slot, i) => {
      const at = firstDifference(slot.bytes, i + 1);
      if (at >= 0) throw new Error(`chunk ${i} came back with other bytes, from byte ${at} on`);
      slot.release();
    });
    return { cached, transfer };
  } finally {
    await engine.close();
  }
}
