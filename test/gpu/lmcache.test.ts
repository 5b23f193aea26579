/** The released LMCache on a GPU and ours, on one directory: its GDS backend, its keys, its memory. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KVCacheEngine, ModelDescription } from '../../src/index.js';
import { PYTHON, Peer } from '../interop/peer.js';
import { temporaryDirectory } from '../support/directories.js';
import { openEngine, wholeOf } from '../support/engine.js';
import { IS_REAL, LMCACHE_PYTHON, fill, gpuSettings, onGpu, poison } from './gpu.js';

const CHUNK = 256;
const TAIL = 70;
/** Two whole chunks and a short tail. */
const COUNT = 2 * CHUNK + TAIL;

/** Against the stand-ins for a GPU, LMCache's device memory is the host's, as in test/interop. */
const python = IS_REAL ? LMCACHE_PYTHON : PYTHON;
if (python === undefined)
  console.warn('SKIPPED: the real LMCache on a GPU; npm run test:gpu runs it where it finds it');

const MODELS: readonly (ModelDescription & { readonly what: string })[] = [
  { what: '32 MiB', modelName: 'm', kvDtype: 'bfloat16', kvShape: [32, 2, CHUNK, 8, 128] },
  { what: '1 MiB', modelName: 'org/small', kvDtype: 'bfloat16', kvShape: [4, 2, CHUNK, 2, 128] },
  { what: 'in fp8', modelName: 'org/eight', kvDtype: 'fp8_e4m3fn', kvShape: [3, 2, CHUNK, 3, 40] },
  { what: 'of MLA', modelName: 'org/mla', kvDtype: 'bfloat16', kvShape: [5, 1, CHUNK, 1, 576], useMla: true },
];
const CASES = MODELS.flatMap(({ what, ...model }) =>
  (['staged', 'gds'] as const).map((transport) => ({ what, transport, model })),
);

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const tokensOf = (seed: number) => Array.from({ length: COUNT }, (_, i) => seed * 10_000 + i);

onGpu('a directory shared with LMCache 0.5.6 on a GPU', () => {
  // Without GDS it copies by CUDA's runtime, for which there is no stand-in.
  const ways = IS_REAL ? [true, false] : [true];
  describe.skipIf(python === undefined).each(ways)('whose use_gds is %s', (useGds) => {
    let peer: Peer;

    beforeAll(() => {
      peer = new Peer(python ?? '', IS_REAL ? 'gpu' : 'host');
    });
    afterAll(() => {
      peer.close();
    });

    const open = (base: string, transport: string, model: ModelDescription): Promise<KVCacheEngine> =>
      openEngine({
        base,
        model,
        settings: {
          ...{ chunk_size: CHUNK, cufile_buffer_size: 128, save_unfull_chunk: true },
          pre_caching_hash_algorithm: 'builtin',
        },
        own: gpuSettings({ transport, checksums: true, none_hash: 'zero' }),
      });

    it.each(CASES)('moves both ways: chunks $what, ours by $transport', async ({ transport, model }) => {
      const base = temporaryDirectory();
      await peer.ask('open', { path: base, use_gds: useGds });
      const engine = await open(base, transport, model);

      // Ours, from GPU memory into LMCache's.
      const mine = engine.prepare(tokensOf(1));
      const slots = await engine.lease(3);
      const sources = fill(slots);
      const stored = await engine.store(mine, slots);
      expect(stored.chunks.map((chunk) => [chunk.outcome, chunk.via])).toEqual(slots.map(() => ['stored', transport]));
      const { chunks } = wholeOf(mine);
      const keys = chunks.map((chunk) => wholeOf(mine).key(chunk));
      if (model.kvDtype === 'bfloat16' && model.useMla !== true) {
        const words = { tokens: tokensOf(1), algorithm: 'builtin', chunk_size: CHUNK, model: model.modelName };
        const theirs = await peer.ask('hash', words);
        expect(theirs.map((chunk) => chunk.key)).toEqual(keys.slice(0, 2));
      }
      const loads = await peer.ask('load', { keys });
      for (const [i, { tensor }] of chunks.entries()) {
        const source = sources[i]?.subarray(0, tensor.bytes) ?? expect.fail('no source');
        const { hit, shape, fmt, sha256: sum } = loads[i] ?? { hit: false };
        expect([hit, shape, fmt, sum]).toEqual([true, tensor.shape, tensor.format, sha256(source)]);
      }

      // LMCache's, from its GPU memory into ours.
      const other = engine.prepare(tokensOf(2));
      const wanted = wholeOf(other).chunks.map((chunk, seed) => ({
        ...{ key: wholeOf(other).key(chunk), shape: chunk.tensor.shape, fmt: chunk.tensor.format, seed },
        dtype: model.kvDtype === 'bfloat16' ? 'bfloat16' : 'float8_e4m3fn',
      }));
      const written = await peer.ask('store', { chunks: wanted });
      expect(written.map(({ path }) => path)).toEqual(wholeOf(other).paths(0));
      poison(slots);
      const retrieved = await engine.retrieve(other, slots);
      expect(retrieved.tokens).toBe(COUNT);
      expect(retrieved.chunks.map((chunk) => [chunk.via, chunk.verified])).toEqual(slots.map(() => [transport, false]));
      for (const [i, slot] of slots.entries()) {
        const bytes = Buffer.alloc(chunks[i]?.tensor.bytes ?? 0);
        slot.copyTo(bytes);
        expect(sha256(bytes)).toBe(written[i]?.sha256);
      }

      // What either wrote is there for both.
      expect((await engine.store(other, slots)).chunks.map((chunk) => chunk.outcome)).toEqual(
        slots.map(() => 'exists'),
      );
    });
  });
});
