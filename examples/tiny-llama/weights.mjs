// @ts-check
/** Reads a checkpoint of the tinyllamas: seven int32, then float32 tensors one after the other. */
import { readFile } from 'node:fs/promises';

const HEADER_INTS = 7;

/**
 * @typedef {object} Shape
 * @property {number} dim width of the residual stream
 * @property {number} hiddenDim width of the feed-forward layer
 * @property {number} layers
 * @property {number} heads query heads
 * @property {number} kvHeads key and value heads; each serves heads / kvHeads query heads
 * @property {number} headDim dim / heads
 * @property {number} kvDim kvHeads * headDim: floats that one token's keys take in one layer
 * @property {number} vocab
 * @property {number} maxTokens longest sequence the model was trained on
 */

/**
 * @typedef {object} Layer
 * @property {Float32Array} attentionNorm [dim]
 * @property {Float32Array} wq [dim, dim]
 * @property {Float32Array} wk [kvDim, dim]
 * @property {Float32Array} wv [kvDim, dim]
 * @property {Float32Array} wo [dim, dim]
 * @property {Float32Array} ffnNorm [dim]
 * @property {Float32Array} w1 [hiddenDim, dim]
 * @property {Float32Array} w2 [dim, hiddenDim]
 * @property {Float32Array} w3 [hiddenDim, dim]
 */

/**
 * @typedef {object} Weights
 * @property {Shape} shape
 * @property {Float32Array} embedding [vocab, dim]; also the classifier
 * @property {Layer[]} layers
 * @property {Float32Array} finalNorm [dim]
 */

/**
 * @param {string} path
 * @returns {Promise<Weights>}
 */
export async function loadWeights(path) {
  const file = await readFile(path);
  const shape = readShape(file, path);
  // Copied, since a Buffer may start at an offset that float32 does not allow.
  const floats = new Float32Array(Uint8Array.from(file.subarray(HEADER_INTS * 4)).buffer);
  const { dim, hiddenDim, kvDim, layers, vocab } = shape;

  let at = 0;
  /** @param {number} length */
  const take = (length) => floats.subarray(at, (at += length));
  /** @param {number} length of one layer's tensor; the file holds all layers of it before the next tensor */
  const takeLayers = (length) => Array.from({ length: layers }, () => take(length));

  const embedding = take(vocab * dim);
  const attentionNorm = takeLayers(dim);
  const wq = takeLayers(dim * dim);
  const wk = takeLayers(kvDim * dim);
  const wv = takeLayers(kvDim * dim);
  const wo = takeLayers(dim * dim);
  const ffnNorm = takeLayers(dim);
  const w1 = takeLayers(hiddenDim * dim);
  const w2 = takeLayers(dim * hiddenDim);
  const w3 = takeLayers(hiddenDim * dim);
  const finalNorm = take(dim);
  return {
    shape,
    embedding,
    finalNorm,
    layers: attentionNorm.map((norm, l) => ({
      attentionNorm: norm,
      wq: wq[l],
      wk: wk[l],
      wv: wv[l],
      wo: wo[l],
      ffnNorm: ffnNorm[l],
      w1: w1[l],
      w2: w2[l],
      w3: w3[l],
    })),
  };
}

/**
 * Refuses a file whose size is not the one its header promises: anything else would be read as weights.
 *
 * @param {Buffer} file
 * @param {string} path
 * @returns {Shape}
 */
function readShape(file, path) {
  if (file.length < HEADER_INTS * 4) throw new Error(`${path}: ${file.length} bytes are too few for a model's header`);
  const ints = Array.from({ length: HEADER_INTS }, (_, i) => file.readInt32LE(i * 4));
  const [dim, hiddenDim, layers, heads, kvHeads, vocab, maxTokens] = ints;
  if (ints.some((value) => value <= 0 || value > 1 << 20) || dim % heads !== 0 || heads % kvHeads !== 0) {
    throw new Error(`${path}: the header [${ints.join(', ')}] is not one of a model with a shared classifier`);
  }
  const headDim = dim / heads;
  const kvDim = kvHeads * headDim;
  const perLayer = 2 * dim + 2 * dim * dim + 2 * kvDim * dim + 3 * hiddenDim * dim;
  const positionTables = 2 * maxTokens * (headDim / 2);
  const bytes = 4 * (HEADER_INTS + vocab * dim + layers * perLayer + dim + positionTables);
  if (file.length !== bytes) throw new Error(`${path}: ${file.length} bytes, but its header means ${bytes}`);
  return { dim, hiddenDim, layers, heads, kvHeads, headDim, kvDim, vocab, maxTokens };
}
