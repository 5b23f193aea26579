// @ts-check
/** The Llama forward pass: grouped-query attention over cached keys and values, then SwiGLU, layer by layer. */
import { add, matmul, rmsNorm, rotate, swiGlu } from './math.mjs';

/**
 * Computes tokens that follow each other, writes their keys and values to the cache, and returns the last one's
 * logits. A long prompt and a single decoded token take the same way.
 *
 * @param {import('./weights.mjs').Weights} weights
 * @param {import('./kv-cache.mjs').KvCache} cache holds all positions before `start`, and has room for these tokens
 * @param {readonly number[]} tokens
 * @param {number} start position of the first of the tokens
 * @returns {Float32Array} [vocab]
 */
export function forward(weights, cache, tokens, start) {
  const { shape, embedding } = weights;
  const { dim, hiddenDim, kvDim, headDim, vocab, maxTokens } = shape;
  const n = tokens.length;
  if (n === 0 || start + n > Math.min(cache.capacity, maxTokens)) {
    throw new RangeError(
      `${n} tokens from position ${start} do not fit: room for ${cache.capacity}, model for ${maxTokens}`,
    );
  }
  const x = new Float32Array(n * dim);
  tokens.forEach((token, r) => x.set(embedding.subarray(token * dim, (token + 1) * dim), r * dim));
  const normed = new Float32Array(n * dim);
  const q = new Float32Array(n * dim);
  const k = new Float32Array(n * kvDim);
  const v = new Float32Array(n * kvDim);
  const mixed = new Float32Array(n * dim);
  const gate = new Float32Array(n * hiddenDim);
  const up = new Float32Array(n * hiddenDim);

  weights.layers.forEach((layer, l) => {
    rmsNorm(normed, x, layer.attentionNorm, n);
    matmul(q, normed, layer.wq, n, dim, dim);
    matmul(k, normed, layer.wk, n, dim, kvDim);
    matmul(v, normed, layer.wv, n, dim, kvDim);
    for (let r = 0; r < n; r++) {
      rotate(q, r * dim, dim, headDim, start + r);
      rotate(k, r * kvDim, kvDim, headDim, start + r);
    }
    remember(shape, cache, l, k, v, start);
    for (let r = 0; r < n; r++) attend(shape, cache, l, q, mixed, r, start + r);
    matmul(normed, mixed, layer.wo, n, dim, dim);
    add(x, normed);

    rmsNorm(normed, x, layer.ffnNorm, n);
    matmul(gate, normed, layer.w1, n, dim, hiddenDim);
    matmul(up, normed, layer.w3, n, dim, hiddenDim);
    swiGlu(gate, up);
    matmul(normed, gate, layer.w2, n, hiddenDim, dim);
    add(x, normed);
  });

  const last = x.slice((n - 1) * dim);
  rmsNorm(last, last, weights.finalNorm, 1);
  const logits = new Float32Array(vocab);
  matmul(logits, last, embedding, 1, dim, vocab);
  return logits;
}

/**
 * Writes one layer's keys and values of consecutive tokens into their blocks, each [2, layers, tokens, kvDim].
 *
 * @param {import('./weights.mjs').Shape} shape
 * @param {import('./kv-cache.mjs').KvCache} cache
 * @param {number} layer
 * @param {Float32Array} k [n, kvDim]
 * @param {Float32Array} v [n, kvDim]
 * @param {number} start
 */
function remember({ layers, kvDim }, cache, layer, k, v, start) {
  const end = start + k.length / kvDim;
  for (let position = start, b = cache.blockOf(start); position < end; b++) {
    const block = cache.blocks[b];
    const stop = Math.min(end, block.start + block.tokens);
    const row = position - block.start;
    const from = (position - start) * kvDim;
    const to = (stop - start) * kvDim;
    block.data.set(k.subarray(from, to), (layer * block.tokens + row) * kvDim);
    block.data.set(v.subarray(from, to), ((layers + layer) * block.tokens + row) * kvDim);
    position = stop;
  }
}

/**
 * Attention of one token over all positions up to its own: softmax(q · K / √headDim) · V for each head.
 *
 * @param {import('./weights.mjs').Shape} shape
 * @param {import('./kv-cache.mjs').KvCache} cache
 * @param {number} layer
 * @param {Float32Array} q [n, dim]
 * @param {Float32Array} mixed [n, dim], its row is overwritten
 * @param {number} r row of the token
 * @param {number} position
 */
function attend(shape, cache, layer, q, mixed, r, position) {
  const { dim, heads, kvHeads, headDim, kvDim, layers } = shape;
  const scale = 1 / Math.sqrt(headDim);
  const scores = new Float32Array(position + 1);
  for (let head = 0; head < heads; head++) {
    const at = r * dim + head * headDim;
    const kvAt = Math.floor((head * kvHeads) / heads) * headDim;

    let highest = -Infinity;
    for (const { data, start, tokens } of cache.blocks) {
      const end = Math.min(start + tokens, position + 1);
      let key = layer * tokens * kvDim + kvAt;
      for (let t = start; t < end; t++, key += kvDim) {
        let score = 0;
        for (let i = 0; i < headDim; i++) score += q[at + i] * data[key + i];
        scores[t] = score * scale;
        highest = Math.max(highest, scores[t]);
      }
    }

    let sum = 0;
    for (let t = 0; t <= position; t++) sum += scores[t] = Math.exp(scores[t] - highest);

    // One float of the head at a time, so that its sum stays in a register.
    for (let i = 0; i < headDim; i++) {
      let value = 0;
      for (const { data, start, tokens } of cache.blocks) {
        const end = Math.min(start + tokens, position + 1);
        let from = (layers + layer) * tokens * kvDim + kvAt + i;
        for (let t = start; t < end; t++, from += kvDim) value += scores[t] * data[from];
      }
      mixed[at + i] = value / sum;
    }
  }
}
