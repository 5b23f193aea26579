/** Tokens as a caller gives them, and how a sequence divides into chunks. */
import { types } from 'node:util';
import { KVOffloadError } from './errors.js';

/** Token ids, integers from 0 to 2^53 - 1. */
export type Tokens = readonly number[] | Uint32Array | BigInt64Array;

/** Checked token ids: a Uint32Array where all are below 2^32, else a Float64Array of integers. */
export type TokenArray = Uint32Array | Float64Array;

/** One chunk of a token sequence. */
export interface ChunkRange {
  /** Position in the sequence, counted in chunks from 0. */
  readonly index: number;
  /** First token. */
  readonly start: number;
  /** One past the last token. */
  readonly end: number;
}

const TWO_32 = 2 ** 32;

/**
 * Checks tokens and gives them in the form that hashing reads.
 *
 * A Uint32Array is returned as it is, uncopied, unless its buffer can be resized: such a view may shrink between
 * this check and its use.
 *
 * @throws KVOffloadError `KVO_TOKENS_INVALID`, naming the first bad token's index and value
 */
export function toTokens(tokens: Tokens): TokenArray {
  if (Array.isArray(tokens)) return fromNumbers(tokens);
  if (types.isUint32Array(tokens)) {
    checkReadable(tokens);
    return isResizable(tokens.buffer) ? Uint32Array.from(tokens) : tokens;
  }
  if (types.isBigInt64Array(tokens)) {
    checkReadable(tokens);
    return fromBigInts(tokens);
  }
  throw new KVOffloadError(
    'KVO_TOKENS_INVALID',
    `tokens are ${describe(tokens)}; pass an array of numbers, a Uint32Array or a BigInt64Array`,
  );
}

/**
 * The chunks of a sequence that come after a skipped prefix.
 *
 * @param count - tokens in the sequence
 * @param chunkSize - tokens a chunk
 * @param options - `skipTokens`: tokens at the start to leave out, a multiple of chunkSize, default 0;
 *   `saveUnfullChunk`: whether a tail shorter than a chunk is a chunk too, default false
 * @throws KVOffloadError `KVO_MASK_INVALID` where skipTokens is no such number or passes the sequence's end
 */
export function chunkRanges(
  count: number,
  chunkSize: number,
  options: { readonly skipTokens?: number; readonly saveUnfullChunk?: boolean } = {},
): ChunkRange[] {
  const skip = options.skipTokens ?? 0;
  if (!Number.isSafeInteger(skip) || skip < 0) {
    throw new KVOffloadError('KVO_MASK_INVALID', `skipTokens is ${describe(skip)}; it must be an integer from 0 up`);
  }
  if (skip % chunkSize !== 0) {
    throw new KVOffloadError(
      'KVO_MASK_INVALID',
      `skipTokens is ${skip}, which is no multiple of chunk_size ${chunkSize}; skip ${skip - (skip % chunkSize)} instead`,
    );
  }
  if (skip > count) {
    throw new KVOffloadError('KVO_MASK_INVALID', `skipTokens is ${skip}, but there are only ${count} tokens`);
  }
  const ranges: ChunkRange[] = [];
  const chunks = options.saveUnfullChunk === true ? Math.ceil(count / chunkSize) : Math.floor(count / chunkSize);
  for (let index = skip / chunkSize; index < chunks; index++) {
    const start = index * chunkSize;
    ranges.push({ index, start, end: Math.min(start + chunkSize, count) });
  }
  return ranges;
}

function fromNumbers(tokens: readonly unknown[]): TokenArray {
  const narrow = new Uint32Array(tokens.length);
  for (let i = 0; i < narrow.length; i++) {
    const token = tokens[i];
    if (typeof token === 'number' && token >>> 0 === token) narrow[i] = token;
    else return fromWideNumbers(tokens, narrow.length);
  }
  return narrow;
}

function fromWideNumbers(tokens: readonly unknown[], count: number): Float64Array {
  const wide = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const token = tokens[i];
    if (typeof token !== 'number' || !Number.isSafeInteger(token) || token < 0) throw badToken(i, token);
    wide[i] = token;
  }
  return wide;
}

/** Reads the two halves of each number: a BigInt a token costs more than hashing it. Every platform of ours is little-endian. */
function fromBigInts(tokens: BigInt64Array): TokenArray {
  const halves = new Uint32Array(tokens.buffer, tokens.byteOffset, tokens.length * 2);
  const narrow = new Uint32Array(tokens.length);
  let wide: Float64Array | undefined;
  for (let i = 0; i < narrow.length; i++) {
    const low = halves[2 * i] ?? 0;
    const high = halves[2 * i + 1] ?? 0;
    if (high > 0x1fffff) throw badToken(i, tokens[i]);
    if (high > 0) wide ??= Float64Array.from(narrow);
    if (wide) wide[i] = high * TWO_32 + low;
    else narrow[i] = low;
  }
  return wide ?? narrow;
}

/** A view of a detached buffer, or past the end of a shrunk one, reads as empty; its methods tell. */
function checkReadable(view: Uint32Array | BigInt64Array): void {
  try {
    view.at(0);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_TOKENS_INVALID',
      'tokens are a view of a detached or shrunk buffer; pass a copy, or pass them before the buffer is transferred',
      cause,
    );
  }
}

function isResizable(buffer: ArrayBufferLike): boolean {
  const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
  return resizable === true || growable === true;
}

function badToken(index: number, token: unknown): KVOffloadError {
  return new KVOffloadError(
    'KVO_TOKENS_INVALID',
    `token ${index} is ${describe(token)}; tokens are integers from 0 to 2^53 - 1`,
  );
}

function describe(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint' || value === null || value === undefined)
    return String(value);
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  return `of type ${typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : typeof value}`;
}
