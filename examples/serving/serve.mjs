// @ts-check
/**
 * How a serving process uses the library: for each request look the prompt up, bring back what is cached, compute the
 * rest, store it. "Computing" here fills a chunk with numbers that follow from its tokens, so that each byte that comes
 * back from the cache can be checked.
 *
 *     node examples/serving/serve.mjs [DIRECTORY]
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KVCacheEngine, loadConfig } from 'kv-offload';

const CHUNK = 256;
const MODEL = /** @type {const} */ ({ modelName: 'example/tiny', kvDtype: 'float16', kvShape: [2, 2, CHUNK, 2, 32] });

/**
 * Stands for prefill: the KV cache of one chunk.
 *
 * @param {readonly number[]} tokens
 * @param {Uint8Array} into
 */
function prefill(tokens, into) {
  const last = tokens.at(-1) ?? 0;
  for (let i = 0; i < into.length; i++) into[i] = (last * 31 + i) & 255;
}

/**
 * One request. Whatever the cache says, the answer must be right: anything but a hit is computed.
 *
 * @param {KVCacheEngine} engine
 * @param {readonly number[]} tokens
 */
async function answer(engine, tokens) {
  const chunks = Math.floor(tokens.length / CHUNK);
  const prompt = engine.prepare(tokens);
  const cached = await engine.lookup(prompt);
  const slots = await engine.lease(chunks);
  try {
    const { tokens: usable } = await engine.retrieve(prompt, slots.slice(0, cached / CHUNK));
    for (let chunk = usable / CHUNK; chunk < chunks; chunk++) {
      const slot = slots[chunk];
      if (slot) prefill(tokens.slice(0, (chunk + 1) * CHUNK), slot.bytes);
    }
    // The request could be answered now; storing takes no time away from it. What is there already is not written.
    const stored = await engine.store(prompt, slots);
    for (const { error } of stored.chunks) if (error) console.error(`not stored: ${error.message} [${error.code}]`);
    return { usable, computed: tokens.length - usable, present: stored.present, firstByte: slots[0]?.bytes[0] };
  } finally {
    for (const slot of slots) slot.release();
  }
}

const directory = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'kv-offload-example-'));
const config = await loadConfig({ overrides: { weka_path: directory, cufile_buffer_size: 16 } });
await withEngine(await KVCacheEngine.open(config, MODEL), async (engine) => {
  const system = Array.from({ length: 2 * CHUNK }, (_, i) => i);
  const question = (/** @type {number} */ from) => Array.from({ length: CHUNK }, (_, i) => 1000 * from + i);
  for (const [name, tokens] of /** @type {const} */ ([
    ['first request', [...system, ...question(1)]],
    ['same again', [...system, ...question(1)]],
    ['other question, same system prompt', [...system, ...question(2)]],
  ])) {
    const { usable, computed, present } = await answer(engine, tokens);
    console.log(`${name}: ${usable} tokens from the cache, ${computed} computed, ${present} chunks cached now`);
  }
  console.log(`moved by ${engine.transport.kind}: ${engine.transport.reason}`);
});

/**
 * `await using engine = …` in TypeScript; plain JavaScript of Node 20 has no such statement yet.
 *
 * @param {KVCacheEngine} engine
 * @param {(engine: KVCacheEngine) => Promise<void>} work
 */
async function withEngine(engine, work) {
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}
