// @ts-check
/**
 * The demo: processes that share nothing but a directory store, find and retrieve KV chunks; first a real model's,
 * then as many bytes as real serving has.
 */
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

import { loadTinyLlama } from '../tiny-llama/index.mjs';
import { runStep } from './child.mjs';
import { count, paragraph, size, table, time } from './report.mjs';
import { withScratch } from './scratch.mjs';
import { DIVERGES_AT, KV_SHAPE, PROMPT_TOKENS as SERVING_TOKENS } from './serving.mjs';
import { goldenStory } from './story.mjs';

/**
 * @typedef {object} DemoOptions
 * @property {boolean} [json] one JSON object instead of the story. Default false.
 * @property {string} [dir] where to make the temporary cache directory. Default: the system's place for such.
 * @property {AbortSignal} [signal] stops the demo; its directory is removed all the same
 * @property {(text: string) => void} [write] takes the output. Default: standard output.
 */

/**
 * @typedef {object} Stage what both parts need
 * @property {string} directory
 * @property {AbortSignal} signal
 * @property {(text: string) => void} say one paragraph
 * @property {(part: string, result: { pid: number, transfer: import('./cache.mjs').Transfer }) => void} note a table row
 */

/**
 * Runs both parts. Rejects when any text or byte is not what it must be.
 *
 * @param {DemoOptions} [options]
 * @returns {Promise<void>}
 */
export async function runDemo(options = {}) {
  const { json = false, dir = tmpdir(), signal = new AbortController().signal } = options;
  const write = options.write ?? ((text) => void process.stdout.write(text));
  const began = performance.now();
  /** @type {import('./report.mjs').Row[]} */
  const rows = [];

  const result = await withScratch(dir, async (directory) => {
    /** @type {Stage} */
    const stage = {
      directory,
      signal,
      say: (text) => json || write(paragraph(text)),
      note: (part, { pid, transfer }) =>
        rows.push({ part, pid, ...transfer, gbPerSecond: transfer.bytes / transfer.ms / 1e6 }),
    };
    stage.say(
      `KV chunks in ${directory}. Each step below is a process of its own; they share nothing but this directory.`,
    );
    return { directory, story: await tellStory(stage), serving: await serve(stage) };
  });

  const seconds = (performance.now() - began) / 1000;
  if (json) {
    write(`${JSON.stringify({ ok: true, seconds, ...result, transfers: rows }, null, 2)}\n`);
  } else {
    write(`\n${table(rows)}\n`);
    write(
      paragraph(
        'Every process starts cold, and times include hashing, headers and checksums. What is read back so soon, and ' +
          `not by direct I/O, comes from the page cache. Done in ${seconds.toFixed(1)} s; the directory is removed.`,
      ),
    );
  }
}

/**
 * Part one: the text must be the same with the cache, without it, and in the golden file.
 *
 * @param {Stage} stage
 */
async function tellStory({ directory, signal, say, note }) {
  const { prompt, continuation } = await goldenStory();
  const { weights, tokenizer } = await loadTinyLlama();
  const { layers, kvHeads, headDim } = weights.shape;
  const words = tokenizer.decode(prompt).trim().split(/\s+/);
  say(
    `\n1. A real model: stories260K, a Llama that writes children's stories; its KV is float32 ` +
      `[${layers}, 2, 256, ${kvHeads}, ${headDim}]. The prompt, ${prompt.length} tokens: ` +
      `“${words.slice(0, 8).join(' ')} … ${words.slice(-8).join(' ')}”`,
  );

  const stored = await runStep('storeStory', directory, signal);
  note('story', stored);
  say(
    `   Process ${stored.pid} computed the prompt's KV in ${time(stored.computeMs)} and stored ` +
      `${stored.transfer.chunks} chunks: 256 tokens and a tail of ${prompt.length - 256}, ${size(stored.transfer.bytes)}.`,
  );

  const cached = await runStep('continueFromCache', directory, signal);
  note('story', cached);
  say(
    `   Process ${cached.pid} looked the prompt up, found all ${cached.transfer.tokens} tokens, retrieved them and ` +
      `computed only the last for its logits: first new token after ${time(cached.firstTokenMs)}.`,
  );

  const plain = await runStep('continueWithoutCache', directory, signal);
  say(
    `   Process ${plain.pid}, without the cache, computed all ${prompt.length}: first new token after ` +
      `${time(plain.firstTokenMs)}, ${(plain.firstTokenMs / cached.firstTokenMs).toFixed(1)} times as long.`,
  );

  requireSame('the run from the cache', cached.written, 'the run without it', plain.written);
  requireSame('the run from the cache', cached.written, 'the golden tokens', continuation);
  const text = tokenizer.decode(cached.written);
  say(
    `   Both wrote the same ${cached.written.length} tokens to the story's end, and they are the golden ones: ` +
      `“… ${text.replace('<s>', '').trim()}”`,
  );
  return {
    model: 'karpathy/tinyllamas-stories260K',
    promptTokens: prompt.length,
    newTokens: cached.written.length,
    text,
    sameAsWithoutCache: true,
    sameAsGolden: true,
    firstTokenMs: { withCache: cached.firstTokenMs, withoutCache: plain.firstTokenMs },
  };
}

/**
 * Part two: every byte is checked in the process that retrieved it.
 *
 * @param {Stage} stage
 */
async function serve({ directory, signal, say, note }) {
  say(
    `\n2. The size of real serving: Llama-3.1-8B's KV, bfloat16 [${KV_SHAPE.join(', ')}]; seeded random bytes ` +
      `stand for it. The prompt: ${count(SERVING_TOKENS)} tokens.`,
  );

  const stored = await runStep('storePrompt', directory, signal);
  note('serving', stored);
  say(
    `   Process ${stored.pid} stored its ${stored.transfer.chunks} chunks of ` +
      `${size(stored.transfer.bytes / stored.transfer.chunks)}.`,
  );

  const same = await runStep('retrieveSame', directory, signal);
  note('serving', same);
  say(
    `   Process ${same.pid} retrieved the same prompt: ${count(same.cached)} tokens found, ` +
      `each of ${count(same.transfer.bytes)} bytes checked and right.`,
  );

  const diverging = await runStep('retrieveDiverging', directory, signal);
  note('serving', diverging);
  say(
    `   Process ${diverging.pid} asked for a prompt that differs from token ${count(DIVERGES_AT)} on: ` +
      `${count(diverging.cached)} tokens found, whole chunks before it, each of ${count(diverging.transfer.bytes)} bytes right.`,
  );
  return {
    model: 'meta-llama/Llama-3.1-8B',
    promptTokens: SERVING_TOKENS,
    same: { cachedTokens: same.cached, bytesChecked: same.transfer.bytes },
    diverging: { divergesAt: DIVERGES_AT, cachedTokens: diverging.cached, bytesChecked: diverging.transfer.bytes },
  };
}

/**
 * @param {string} one
 * @param {readonly number[]} tokens
 * @param {string} other
 * @param {readonly number[]} expected
 */
function requireSame(one, tokens, other, expected) {
  const at = expected.findIndex((token, i) => token !== tokens[i]);
  if (at >= 0 || tokens.length !== expected.length) {
    throw new Error(`${one} and ${other} differ at new token ${at}: ${tokens[at]} and ${expected[at]}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stop = new AbortController();
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(name, () => stop.abort(new Error(`stopped by ${name}; the demo's directory is removed`)));
  }
  try {
    await runDemo({ json: process.argv.includes('--json'), signal: stop.signal });
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
