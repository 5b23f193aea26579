// @ts-check
/** A real, tiny language model: stories260K, a Llama of 260,000 parameters that writes children's stories. */
import { fileURLToPath } from 'node:url';

import { forward } from './forward.mjs';
import { KvCache } from './kv-cache.mjs';
import { argmax } from './math.mjs';
import { loadTokenizer } from './tokenizer.mjs';
import { loadWeights } from './weights.mjs';

export { argmax, forward, KvCache, loadTokenizer, loadWeights };

/** Where the weights lie in this package. */
export const MODELS = fileURLToPath(new URL('../models/', import.meta.url));

/** @returns {Promise<{ weights: import('./weights.mjs').Weights, tokenizer: import('./tokenizer.mjs').Tokenizer }>} */
export async function loadTinyLlama() {
  const weights = await loadWeights(`${MODELS}stories260K.bin`);
  return { weights, tokenizer: await loadTokenizer(`${MODELS}tok512.bin`, weights.shape.vocab) };
}

/**
 * Goes on greedily: each token is the most likely one after all before it.
 *
 * @param {import('./weights.mjs').Weights} weights
 * @param {KvCache} cache holds the `length` tokens before; grows as needed
 * @param {Float32Array} logits of the last of them
 * @param {number} length
 * @param {number} count tokens to write
 * @returns {number[]}
 */
export function continueGreedily(weights, cache, logits, length, count) {
  /** @type {number[]} */
  const written = [];
  for (;;) {
    const token = argmax(logits);
    written.push(token);
    if (written.length === count) return written;
    const position = length + written.length - 1;
    if (position === cache.capacity) cache.addBlock(count - written.length);
    logits = forward(weights, cache, [token], position);
  }
}
