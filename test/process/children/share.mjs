// @ts-check
/** One step of sharing a cache: stores, looks up or retrieves a prompt, and reports what became of each chunk. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/**
 * @typedef {object} Step
 * @property {'store' | 'lookup' | 'retrieve'} call
 * @property {number} chunks
 * @property {number} [seed] of prompt and payload
 * @property {number} [divergeAt] token from which on the prompt is another
 */

/** @type {{ setup: import('./cache.mjs').Setup, steps: Step[], startAt?: string }} */
const { setup, steps, startAt } = argument();
const engine = await openEngine(setup);

// Several processes wait for one file, so that they begin together.
if (startAt !== undefined) {
  process.stdout.write('\n');
  while (!existsSync(startAt)) await new Promise((resolve) => setImmediate(resolve));
}

/** @param {Step} step */
function promptOf({ chunks, seed = 0, divergeAt = Infinity }) {
  return tokens(chunks * CHUNK, seed).map((token, i) => (i < divergeAt ? token : token + 500_000));
}

/** @param {Step} step */
async function carryOut(step) {
  const prompt = promptOf(step);
  if (step.call === 'lookup') return engine.lookup(prompt);
  if (step.call === 'store') {
    const { chunks } = await engine.store(prompt, payloads(step.chunks, step.seed));
    return chunks.map((chunk) => chunk.error?.code ?? chunk.outcome);
  }
  const into = targets(step.chunks);
  const result = await engine.retrieve(prompt, into);
  return {
    tokens: result.tokens,
    outcomes: result.chunks.map((chunk) => chunk.error?.code ?? chunk.outcome),
    sha256: into.map((bytes) => createHash('sha256').update(bytes).digest('hex')),
  };
}

const results = [];
for (const step of steps) results.push(await carryOut(step));
await engine.close();
report({ pid: process.pid, results });
