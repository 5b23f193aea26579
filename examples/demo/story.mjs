// @ts-check
/** Part one: a real model's KV cache. Each function is one process. */
import { readFile } from 'node:fs/promises';

import { KvCache, MODELS, argmax, continueGreedily, forward, loadTinyLlama } from '../tiny-llama/index.mjs';
import { chunkLengths, openCache, retrieveAll, storeAll } from './cache.mjs';

/**
 * The prompt is the golden story's first 300 tokens; the model then writes on to the story's end, token 346. The
 * golden's engines agreed on each choice to position 300; of the 47 choices after it each is won by 0.13 in its logit
 * or more, which is thousands of times what rounding moves, so they too can be compared exactly.
 */
export const PROMPT_TOKENS = 300;
const STORY_TOKENS = 347;
const BUFFER_MIB = 4;

/** @returns {Promise<{ prompt: number[], continuation: number[] }>} */
export async function goldenStory() {
  /** @type {{ tokens: number[] }} */
  const golden = JSON.parse(await readFile(`${MODELS}stories260K.golden.json`, 'utf8'));
  return {
    prompt: golden.tokens.slice(0, PROMPT_TOKENS),
    continuation: golden.tokens.slice(PROMPT_TOKENS, STORY_TOKENS),
  };
}

/**
 * @param {string} directory
 * @param {import('../tiny-llama/weights.mjs').Shape} shape
 */
function openFor(directory, { layers, kvHeads, headDim }) {
  return openCache(directory, BUFFER_MIB, {
    modelName: 'karpathy/tinyllamas-stories260K',
    kvDtype: 'float32',
    kvShape: [layers, 2, 256, kvHeads, headDim],
  });
}

/**
 * Computes the prompt straight into the chunks' slots, and stores them.
 *
 * @param {string} directory
 */
export async function storeStory(directory) {
  const { prompt } = await goldenStory();
  const { weights } = await loadTinyLlama();
  const engine = await openFor(directory, weights.shape);
  try {
    const lengths = chunkLengths(prompt.length);
    const slots = await engine.lease(lengths.length);
    const cache = new KvCache(weights.shape);
    lengths.forEach((tokens, i) => cache.addBlock(tokens, slots[i].bytes));

    const began = performance.now();
    forward(weights, cache, prompt, 0);
    const computeMs = performance.now() - began;
    const transfer = await storeAll(engine, prompt, slots);
    for (const slot of slots) slot.release();
    return { computeMs, transfer };
  } finally {
    await engine.close();
  }
}

/**
 * Finds the prompt, retrieves it, and computes only its last token, whose logits say what comes next.
 *
 * @param {string} directory
 */
export async function continueFromCache(directory) {
  const { prompt, continuation } = await goldenStory();
  const { weights } = await loadTinyLlama();
  const engine = await openFor(directory, weights.shape);
  try {
    const began = performance.now();
    const cached = await engine.lookup(prompt);
    if (cached !== prompt.length) throw new Error(`lookup found ${cached} of ${prompt.length} tokens`);
    const lengths = chunkLengths(cached);
    const slots = await engine.lease(lengths.length);
    const transfer = await retrieveAll(engine, prompt, slots);
    const cache = new KvCache(weights.shape);
    lengths.forEach((tokens, i) => cache.addBlock(tokens, slots[i].bytes));
    const logits = forward(weights, cache, prompt.slice(-1), prompt.length - 1);
    argmax(logits);
    const firstTokenMs = performance.now() - began;

    const written = continueGreedily(weights, cache, logits, prompt.length, continuation.length);
    for (const slot of slots) slot.release();
    return { firstTokenMs, written, transfer };
  } finally {
    await engine.close();
  }
}

/** The same without a cache: computes the whole prompt. */
export async function continueWithoutCache() {
  const { prompt, continuation } = await goldenStory();
  const { weights } = await loadTinyLlama();
  const cache = new KvCache(weights.shape);
  cache.addBlock(prompt.length);
  const began = performance.now();
  const logits = forward(weights, cache, prompt, 0);
  argmax(logits);
  const firstTokenMs = performance.now() - began;
  return { firstTokenMs, written: continueGreedily(weights, cache, logits, prompt.length, continuation.length) };
}
