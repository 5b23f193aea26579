// @ts-check
/**
 * Stores prompts, retrieves them and removes their files, thousands of times; reports memory, threads and descriptors
 * after the first of them and after the last.
 */
import { readdirSync, rmSync } from 'node:fs';
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, warmUp: number, cycles: number }} */
const { setup, warmUp, cycles } = argument();
const engine = await openEngine(setup);
const sources = payloads(2);
const memory = targets(2);
const slots = await engine.lease(2);

/** @param {number} cycle */
async function carryOut(cycle) {
  const prompt = engine.prepare(tokens(2 * CHUNK, cycle));
  const stored = await engine.store(prompt, sources);
  const retrieved = await engine.retrieve(prompt, cycle % 2 === 0 ? memory : slots);
  if (stored.present !== 2 || retrieved.tokens !== 2 * CHUNK) throw new Error(`cycle ${cycle} failed`);
  for (const path of prompt.sets[0]?.paths(0) ?? []) {
    rmSync(path);
    rmSync(`${path}.metadata`);
  }
}

async function measure() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    rss: process.memoryUsage().rss,
    threads: readdirSync('/proc/self/task').length,
    descriptors: readdirSync('/proc/self/fd').length,
  };
}

for (let cycle = 0; cycle < warmUp; cycle++) await carryOut(cycle);
const before = await measure();
for (let cycle = warmUp; cycle < warmUp + cycles; cycle++) await carryOut(cycle);
const after = await measure();
const { stored, hits, corrupt, misses } = engine.stats();
await engine.close();
report({ before, after, stored, hits, corrupt, misses });
