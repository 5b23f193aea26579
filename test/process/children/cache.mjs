// @ts-check
/** What children of the tests share: an engine on a directory, and bytes and tokens made from a number. */
import { KVCacheEngine, loadConfig } from 'kv-offload';

/** Tokens a chunk. */
export const CHUNK = 16;
/** Bytes of a chunk. */
export const CHUNK_BYTES = 2048;

/**
 * @typedef {object} Setup
 * @property {string} base cache directory
 * @property {Record<string, unknown>} [settings]
 * @property {Record<string, unknown>} [extra] of extra_config
 * @property {Record<string, unknown>} [own] of extra_config.kv_offload
 * @property {string} [faults]
 */

/** @param {Setup} setup */
export async function openEngine({ base, settings, extra, own, faults }) {
  const config = await loadConfig({
    env: {},
    overrides: {
      weka_path: base,
      chunk_size: CHUNK,
      cufile_buffer_size: 1,
      ...settings,
      extra_config: { gds_io_threads: 4, ...extra, kv_offload: { ...own } },
    },
  });
  /** @type {import('kv-offload').ModelDescription} */
  const model = { modelName: 'org/small', kvDtype: 'bfloat16', kvShape: [2, 2, CHUNK, 2, 8] };
  return KVCacheEngine.openWith(config, model, faults === undefined ? {} : { faults });
}

/** @param {number} seed bytes that differ from those of every other seed */
export function payload(seed) {
  const words = new Uint32Array(CHUNK_BYTES / 4);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

/**
 * @param {number} count
 * @param {number} [seed]
 */
export function tokens(count, seed = 0) {
  return Array.from({ length: count }, (_, i) => seed * 1_000_000 + i);
}

/**
 * @param {number} count
 * @param {number} [seed]
 */
export function payloads(count, seed = 0) {
  return Array.from({ length: count }, (_, i) => payload(seed * 1000 + i));
}

/** @param {number} count */
export function targets(count) {
  return Array.from({ length: count }, () => new Uint8Array(CHUNK_BYTES));
}

/**
 * The argument of this process.
 *
 * @returns {any}
 */
export function argument() {
  return JSON.parse(process.argv[2] ?? '{}');
}

/** @param {unknown} result what the test gets */
export function report(result) {
  process.stdout.write(JSON.stringify(result));
}
