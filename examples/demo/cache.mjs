// @ts-check
/** What every step of the demo does with kv-offload: open it with the demo's own settings, and time transfers. */
import { KVCacheEngine, loadConfig } from 'kv-offload';

export const CHUNK = 256;

/**
 * With an empty environment: the demo shows its own settings, whatever cache the shell is set up for.
 *
 * @param {string} directory
 * @param {number} bufferMiB registered memory
 * @param {import('kv-offload').ModelDescription} model
 */
export async function openCache(directory, bufferMiB, model) {
  const config = await loadConfig({
    env: {},
    overrides: { weka_path: directory, chunk_size: CHUNK, save_unfull_chunk: true, cufile_buffer_size: bufferMiB },
  });
  return KVCacheEngine.open(config, model);
}

/**
 * Token counts of the chunks a sequence is cut into.
 *
 * @param {number} tokens
 */
export function chunkLengths(tokens) {
  return Array.from({ length: Math.ceil(tokens / CHUNK) }, (_, i) => Math.min(CHUNK, tokens - i * CHUNK));
}

/**
 * @typedef {object} Transfer
 * @property {'store' | 'retrieve'} step
 * @property {number} tokens
 * @property {number} chunks
 * @property {number} bytes
 * @property {number} ms
 * @property {string} transport
 * @property {string} path how the files were read or written, as the engine counted it: direct or buffered
 */

/**
 * Stores one slot a chunk.
 *
 * @param {KVCacheEngine} engine
 * @param {number[]} tokens
 * @param {import('kv-offload').Slot[]} slots
 * @returns {Promise<Transfer>}
 */
export async function storeAll(engine, tokens, slots) {
  const began = performance.now();
  const result = await engine.store(tokens, slots);
  const ms = performance.now() - began;
  for (const chunk of result.chunks) {
    if (chunk.outcome !== 'stored')
      throw new Error(`chunk ${chunk.index} was ${chunk.outcome}, not stored`, { cause: chunk.error });
  }
  return transfer(engine, 'store', tokens.length, result.chunks, ms);
}

/**
 * Retrieves one chunk a slot; all must be hits.
 *
 * @param {KVCacheEngine} engine
 * @param {number[]} tokens
 * @param {import('kv-offload').Slot[]} slots
 * @returns {Promise<Transfer>}
 */
export async function retrieveAll(engine, tokens, slots) {
  const began = performance.now();
  const result = await engine.retrieve(tokens, slots);
  const ms = performance.now() - began;
  for (const chunk of result.chunks) {
    if (chunk.outcome !== 'hit')
      throw new Error(`chunk ${chunk.index} came back as ${chunk.outcome}, not as a hit`, { cause: chunk.error });
  }
  if (result.tokens !== tokens.length) throw new Error(`${result.tokens} tokens came back of ${tokens.length}`);
  return transfer(engine, 'retrieve', tokens.length, result.chunks, ms);
}

/**
 * @param {KVCacheEngine} engine
 * @param {'store' | 'retrieve'} step
 * @param {number} tokens
 * @param {readonly { bytes: number }[]} chunks
 * @param {number} ms
 * @returns {Transfer}
 */
function transfer(engine, step, tokens, chunks, ms) {
  const { io } = engine.stats();
  const counters =
    step === 'store' ? ['storeBytesDirect', 'storeBytesBuffered'] : ['loadBytesDirect', 'loadBytesBuffered'];
  const path = ['direct', 'buffered'].filter((_, i) => io[counters[i]] > 0).join(' and ');
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  return { step, tokens, chunks: chunks.length, bytes, ms, transport: engine.transport.kind, path };
}
