/** The demo's model: its text is proof of the cache only if the model itself is right. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** What of examples/tiny-llama, plain JavaScript, is used here. */
interface Shape {
  layers: number;
  kvDim: number;
  vocab: number;
}
interface Weights {
  shape: Shape;
}
interface Tokenizer {
  encode(text: string): number[];
  decode(tokens: Iterable<number>): string;
}
interface KvCache {
  addBlock(tokens: number, memory?: Uint8Array): void;
  chunkBytes(tokens: number): number;
}
interface TinyLlama {
  KvCache: new (shape: Shape) => KvCache;
  loadTinyLlama(): Promise<{ weights: Weights; tokenizer: Tokenizer }>;
  loadWeights(path: string): Promise<Weights>;
  loadTokenizer(path: string, vocab: number): Promise<Tokenizer>;
  forward(weights: Weights, cache: KvCache, tokens: readonly number[], start: number): Float32Array;
  continueGreedily(weights: Weights, cache: KvCache, logits: Float32Array, length: number, count: number): number[];
}

const examples = fileURLToPath(new URL('../../examples/', import.meta.url));
let llama: TinyLlama;
let weights: Weights;
let tokenizer: Tokenizer;
let golden: { tokens: number[]; text: string };
let directory: string;

beforeAll(async () => {
  llama = (await import(`${examples}tiny-llama/index.mjs`)) as TinyLlama;
  ({ weights, tokenizer } = await llama.loadTinyLlama());
  golden = JSON.parse(await readFile(`${examples}models/stories260K.golden.json`, 'utf8')) as typeof golden;
  directory = await mkdtemp(join(tmpdir(), 'tiny-llama-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Memory for a cache, and the cache in it. */
function cacheOf(...blocks: number[]): { cache: KvCache; memory: Float32Array[] } {
  const cache = new llama.KvCache(weights.shape);
  const memory = blocks.map((tokens) => {
    const bytes = new Uint8Array(cache.chunkBytes(tokens));
    cache.addBlock(tokens, bytes);
    return new Float32Array(bytes.buffer);
  });
  return { cache, memory };
}

describe('golden text', () => {
  it('is written greedily from BOS, token by token', () => {
    const { cache } = cacheOf();
    cache.addBlock(1);
    const tokens = [1, ...llama.continueGreedily(weights, cache, llama.forward(weights, cache, [1], 0), 1, 299)];
    expect(tokens).toEqual(golden.tokens.slice(0, 300));
    const text = tokenizer.decode(tokens);
    expect(text.length).toBeGreaterThan(500);
    expect(golden.text.startsWith(text)).toBe(true);
  });

  it('goes on to the story’s end after a prefill of 300 tokens', () => {
    const { cache } = cacheOf(256, 44);
    const logits = llama.forward(weights, cache, golden.tokens.slice(0, 300), 0);
    expect(llama.continueGreedily(weights, cache, logits, 300, 47)).toEqual(golden.tokens.slice(300, 347));
  });

  it('is no close call from token 300 to the story’s end, where the golden is not vouched for by several engines', () => {
    const { cache } = cacheOf(512);
    llama.forward(weights, cache, golden.tokens.slice(0, 299), 0);
    for (let position = 299; position < 346; position++) {
      const logits = llama.forward(weights, cache, golden.tokens.slice(position, position + 1), position);
      const [best = 0, second = 0] = [...logits].sort((a, b) => b - a);
      expect(best - second).toBeGreaterThan(0.1);
    }
  });
});

describe('KV cache', () => {
  it('holds the same bits from one prefill as token by token', () => {
    const tokens = golden.tokens.slice(0, 40);
    const whole = cacheOf(40);
    const single = cacheOf(40);
    const logits = llama.forward(weights, whole.cache, tokens, 0);
    const last = tokens.map((token, position) => llama.forward(weights, single.cache, [token], position)).at(-1);
    expect(last).toEqual(logits);
    expect(single.memory).toEqual(whole.memory);
  });

  it('is laid out [2, layers, tokens, heads * head size] in each block', () => {
    const { layers, kvDim } = weights.shape;
    const tokens = golden.tokens.slice(0, 20);
    const whole = cacheOf(20);
    const split = cacheOf(16, 4);
    const logits = llama.forward(weights, whole.cache, tokens, 0);
    expect(llama.forward(weights, split.cache, tokens, 0)).toEqual(logits);

    const rowsOf = (memory: Float32Array | undefined, blockTokens: number, plane: number): Float32Array | undefined =>
      memory?.subarray(plane * blockTokens * kvDim, (plane + 1) * blockTokens * kvDim);
    for (let plane = 0; plane < 2 * layers; plane++) {
      const row = rowsOf(whole.memory[0], 20, plane) ?? new Float32Array();
      expect(row.some((value) => value !== 0)).toBe(true);
      expect(rowsOf(split.memory[0], 16, plane)).toEqual(row.subarray(0, 16 * kvDim));
      expect(rowsOf(split.memory[1], 4, plane)).toEqual(row.subarray(16 * kvDim));
    }
  });

  it('is read from shared memory in place', () => {
    const { cache } = cacheOf();
    const shared = new Uint8Array(new SharedArrayBuffer(cache.chunkBytes(8) + 64), 64);
    cache.addBlock(8, shared);
    llama.forward(weights, cache, golden.tokens.slice(0, 8), 0);
    expect(shared.some((byte) => byte !== 0)).toBe(true);
  });

  it('refuses memory too small for its tokens, and tokens past its room', () => {
    const { cache } = cacheOf(4);
    expect(() => {
      cache.addBlock(4, new Uint8Array(100));
    }).toThrow(/4 tokens takes 5120 bytes, not 100/);
    expect(() => llama.forward(weights, cache, [1, 2, 3, 4, 5], 0)).toThrow(/do not fit/);
  });
});

describe('tokenizer', () => {
  it('cuts the golden text into the golden tokens, and back', () => {
    const story = golden.tokens.slice(0, 346);
    expect(tokenizer.encode(tokenizer.decode(story).slice(1))).toEqual(story);
    expect(tokenizer.decode(golden.tokens)).toBe(golden.text);
  });

  it('falls back to bytes for text without a piece', () => {
    const text = 'é 😀 \u0001';
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(` ${text}`);
  });
});

describe('model files', () => {
  it('are refused when their size is not what the header promises', async () => {
    const bytes = await readFile(`${examples}models/stories260K.bin`);
    const path = join(directory, 'cut.bin');
    await writeFile(path, bytes.subarray(0, 1_000_000));
    await expect(llama.loadWeights(path)).rejects.toThrow(/cut\.bin: 1000000 bytes, but its header means 1056540/);
    await writeFile(path, bytes.subarray(0, 20));
    await expect(llama.loadWeights(path)).rejects.toThrow(/too few for a model's header/);
  });

  it('are refused when the header is foreign', async () => {
    const path = join(directory, 'foreign.bin');
    await writeFile(path, Buffer.alloc(4096, 0xff));
    await expect(llama.loadWeights(path)).rejects.toThrow(/the header \[-1, .*\] is not one/);
  });

  it('are refused when a tokenizer ends early', async () => {
    const path = join(directory, 'tok.bin');
    await writeFile(path, (await readFile(`${examples}models/tok512.bin`)).subarray(0, 5000));
    await expect(llama.loadTokenizer(path, 512)).rejects.toThrow(/not a tokenizer of 512 pieces/);
  });
});
