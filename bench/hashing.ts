/** Hashing 131,072 tokens by chunks of 256, against one call of node:crypto a chunk over bytes of the same number. */
import { hash } from 'node:crypto';
import { Bench } from 'tinybench';
import type { HashAlgorithm } from 'kv-offload';
import { hashChunks, noneHash, prefixDigests } from '../src/hash/index.js';
import { type Figure, type Target, plainFigure } from './pairs.js';

const TOKENS = 131_072;
const CHUNK = 256;
const SEED = { seed: '0', pythonVersion: '3.11' } as const;

export async function benchHashing(milliseconds: number): Promise<Figure[]> {
  // Ids as a vocabulary of 128,256 has them: 1, 2, 3 and 5 bytes of CBOR each.
  const tokens = Uint32Array.from({ length: TOKENS }, (_, i) => (i * 2654435761) % 128_256);
  const chunkBytes = new Uint8Array(cborBytes(tokens.subarray(0, CHUNK)) + 13);
  const chain = (algorithm: HashAlgorithm) => {
    const none = noneHash(algorithm, SEED);
    return () => hashChunks(tokens, { algorithm, chunkSize: CHUNK, noneHash: none });
  };
  const bench = new Bench({ time: milliseconds, warmupTime: milliseconds / 4 })
    .add('node:crypto', () => {
      for (let chunk = 0; chunk < TOKENS / CHUNK; chunk++) hash('sha256', chunkBytes, 'buffer');
    })
    .add('sha256_cbor', chain('sha256_cbor'))
    .add('sha256', chain('sha256'))
    .add('xxhash_cbor', chain('xxhash_cbor'))
    .add('xxhash', chain('xxhash'))
    .add('builtin', chain('builtin'))
    .add('prefix digests', () => prefixDigests(tokens, CHUNK));
  await bench.run();
  const median = (name: string) => {
    const { result } = bench.getTask(name) ?? {};
    if (result?.state !== 'completed') throw new Error(`${name} did not run`);
    return result.latency.p50;
  };
  const reference = median('node:crypto');
  const ratio = (name: string, target: Target) => {
    const from = `${median(name).toFixed(2)} against ${reference.toFixed(2)} ms (one node:crypto call a chunk)`;
    return plainFigure(`hashing 131,072 tokens, ${name}`, [median(name) / reference], '×', from, target);
  };
  const time = (name: string, target?: Target) =>
    plainFigure(`hashing 131,072 tokens, ${name}`, [median(name)], 'ms', 'median', target);
  return [
    ratio('sha256_cbor', { most: 2 }),
    ratio('sha256', { most: 2 }),
    time('xxhash_cbor', { most: median('sha256') }),
    time('xxhash', { most: median('sha256') }),
    time('builtin', { most: 5 }),
    time('prefix digests'),
  ];
}

function cborBytes(tokens: Uint32Array): number {
  return tokens.reduce((bytes, token) => bytes + (token < 24 ? 1 : token < 256 ? 2 : token < 65_536 ? 3 : 5), 0);
}
