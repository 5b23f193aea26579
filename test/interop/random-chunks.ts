/** Chunks that nobody would think of: any model, tag, dtype, shape and hash that both sides can name. */
import { DTYPES } from '../../src/dtypes.js';
import { formatKey } from '../../src/keys.js';
import type { PeerChunk } from './peer.js';

/** A small generator of its own, so that a failure can be repeated from its seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MODELS = [
  'm',
  'meta-llama/Llama-3.1-8B-Instruct',
  'org/under_score.v2',
  'Qwen/Qwen3~32B',
  '模型/七',
  "it's (a) model!*",
];
const TAG_TEXTS = ['bob', 'ä ö ü', '日本語', '🙂', 'a/b', '50%', '', ' spaced ', "quote'd", 'plus+and&'];
const BOTH_NAMES = DTYPES.filter((dtype) => dtype.key !== undefined && dtype.header !== undefined);

/** So many chunks with keys that differ. `owner` keeps two lists of one directory apart. */
export function randomChunks(count: number, seed: number, owner: number): PeerChunk[] {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const seen = new Set<string>();
  const chunks: PeerChunk[] = [];
  while (chunks.length < count) {
    const dtype = pick(BOTH_NAMES);
    const magnitude = BigInt(below(2 ** 32)) << BigInt(below(32));
    const tags = Array.from({ length: below(3) }, (_, i) => [`t${i}`, pick(TAG_TEXTS)] as const);
    const key = formatKey({
      modelName: pick(MODELS),
      worldSize: 1 + below(16),
      workerId: below(16),
      chunkHash: (random() < 0.5 ? -1n : 1n) * (magnitude * 2n + BigInt(owner)),
      dtype: dtype.key ?? 'half',
      ...(tags.length > 0 && { tags }),
    });
    if (seen.has(key)) continue;
    seen.add(key);
    const [shape, fmt] = pick([
      [[2, 1 + below(5), 1 + below(40), 1 + below(67)], 1],
      [[1, 1 + below(5), 1 + below(40), 1 + below(67)], 6],
      [[1 + below(40), 2, 1 + below(67)], 2],
      [[2, 1 + below(40), 1 + below(67)], 3],
    ] as const);
    chunks.push({ key, shape: [...shape], dtype: dtype.torch, fmt, seed: chunks.length });
  }
  return chunks;
}

/** Payload bytes of a chunk, random from a seed. */
export function randomBytes(length: number, seed: number): Uint8Array {
  const random = randomFrom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
