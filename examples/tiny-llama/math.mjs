// @ts-check
/** The few kernels a Llama needs, on rows of float32. */

/**
 * out[r, o] = sum over i of x[r, i] * w[o, i]
 *
 * Four sums at a time, so that a row of x is read once for four rows of w. Each sum runs in the same order for any
 * number of rows: a token computed alone gets the same bits as in a long prefill.
 *
 * @param {Float32Array} out [rows, outputs]
 * @param {Float32Array} x [rows, inputs]
 * @param {Float32Array} w [outputs, inputs]
 * @param {number} rows
 * @param {number} inputs
 * @param {number} outputs
 */
export function matmul(out, x, w, rows, inputs, outputs) {
  for (let r = 0; r < rows; r++) {
    const xr = r * inputs;
    let o = 0;
    for (; o + 4 <= outputs; o += 4) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let i = 0, w0 = o * inputs; i < inputs; i++, w0++) {
        const value = x[xr + i];
        a += value * w[w0];
        b += value * w[w0 + inputs];
        c += value * w[w0 + 2 * inputs];
        d += value * w[w0 + 3 * inputs];
      }
      const at = r * outputs + o;
      out[at] = a;
      out[at + 1] = b;
      out[at + 2] = c;
      out[at + 3] = d;
    }
    for (; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += x[xr + i] * w[o * inputs + i];
      out[r * outputs + o] = sum;
    }
  }
}

/**
 * Each row scaled to a root mean square of 1, then by the gain.
 *
 * @param {Float32Array} out [rows, dim]
 * @param {Float32Array} x [rows, dim]
 * @param {Float32Array} gain [dim]
 * @param {number} rows
 */
export function rmsNorm(out, x, gain, rows) {
  const dim = gain.length;
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let i = r * dim; i < (r + 1) * dim; i++) squares += x[i] * x[i];
    const scale = 1 / Math.sqrt(squares / dim + 1e-5);
    for (let i = 0; i < dim; i++) out[r * dim + i] = gain[i] * (x[r * dim + i] * scale);
  }
}

/**
 * Rotary position: turns each adjacent pair of a head by an angle that grows with the position.
 *
 * @param {Float32Array} rows changed in place
 * @param {number} from first float of the token's heads
 * @param {number} length floats of all its heads
 * @param {number} headDim
 * @param {number} position
 */
export function rotate(rows, from, length, headDim, position) {
  for (let i = 0; i < length; i += 2) {
    const angle = position * 10000 ** -((i % headDim) / headDim);
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    const a = rows[from + i];
    const b = rows[from + i + 1];
    rows[from + i] = a * cos - b * sin;
    rows[from + i + 1] = a * sin + b * cos;
  }
}

/**
 * gate = silu(gate) * up
 *
 * @param {Float32Array} gate changed in place
 * @param {Float32Array} up
 */
export function swiGlu(gate, up) {
  for (let i = 0; i < gate.length; i++) gate[i] = (gate[i] / (1 + Math.exp(-gate[i]))) * up[i];
}

/**
 * @param {Float32Array} out
 * @param {Float32Array} delta
 */
export function add(out, delta) {
  for (let i = 0; i < out.length; i++) out[i] += delta[i];
}

/** Index of the largest value: greedy decoding. @param {Float32Array} values */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
