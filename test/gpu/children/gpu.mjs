// @ts-check
/** What children of these tests share: an engine as its parent would open it, and memory that it fills. */
import { KVCacheEngine, loadConfig } from 'kv-offload';

/**
 * @typedef {object} Setup as setupOf() of test/gpu/gpu.ts makes it
 * @property {string} base
 * @property {import('kv-offload').ModelDescription} model
 * @property {Record<string, unknown>} settings
 * @property {Record<string, unknown>} extra
 * @property {Record<string, unknown>} own
 */

/** @param {Setup} setup */
export async function openEngine({ base, model, settings, extra, own }) {
  const overrides = { weka_path: base, ...settings, extra_config: { ...extra, kv_offload: own } };
  return KVCacheEngine.open(await loadConfig({ env: {}, overrides }), model);
}

/** @param {number} count */
export function tokens(count, seed = 0) {
  return Array.from({ length: count }, (_, i) => seed * 1_000_000 + i);
}

/**
 * Stores and retrieves without end, some of it at the same time.
 *
 * @param {Setup} setup of a directory that holds the prompt of `count` tokens
 * @param {number} count
 * @param {number} seed of what is stored
 * @returns once all of it is under way
 */
export async function moveForever(setup, count, seed) {
  const engine = await openEngine(setup);
  const slots = await engine.lease(2 * count);
  const [mine, theirs] = [slots.slice(0, count), slots.slice(count)];
  const pool = await engine.allocateDevice(count * mine[0].byteLength);
  // Nobody writes to it, so that its sums are those of what is stored.
  const source = await engine.allocateDevice(2 * mine[0].byteLength);
  const sources = [0, 1].map((i) => ({ memory: source, offset: i * mine[0].byteLength, length: mine[0].byteLength }));
  const blocks = Math.ceil(mine[0].byteLength / 2 / 4096);
  const paged = mine.map((slot, i) => [
    {
      memory: pool,
      offsets: BigUint64Array.from({ length: blocks }, (_, b) => BigInt((b * count + i) * 4096)),
      length: 4096,
    },
    { memory: slot, offset: 0, length: slot.byteLength - blocks * 4096 },
  ]);
  const loop = async (/** @type {(round: number) => Promise<unknown>} */ call) => {
    for (let round = 0; ; round++) await call(round);
  };
  void loop(() => engine.retrieve(tokens(count), theirs));
  void loop(() => engine.retrieve(tokens(count), paged));
  void loop((round) => engine.store(tokens(count, seed * 100_000 + round + 1), sources));
}
