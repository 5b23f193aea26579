/**
 * Canonical CBOR (RFC 8949, section 4.2: definite lengths, shortest integers) of the few things that are hashed:
 * token arrays, one 64-bit integer, ASCII-safe texts.
 *
 * Writers take a DataView and an offset, return the offset behind what they wrote, and allocate nothing: at 131,072
 * tokens a prompt an object a token would cost more than SHA-256 does.
 */
import type { TokenArray } from '../chunks.js';

/** Head bytes of CBOR's major types, and the values that are a byte of their own. */
const BYTES = 0x40;
const TEXT = 0x60;
const ARRAY = 0x80;
const UINT8 = 0x18;
const UINT16 = 0x19;
const UINT32 = 0x1a;
const UINT64 = 0x1b;

/** `()`, an empty array. */
export const CBOR_EMPTY_ARRAY = ARRAY;
/** `None`, null. */
export const CBOR_NULL = 0xf6;
/** An array of three members follows. */
export const CBOR_ARRAY_OF_3 = ARRAY + 3;
/** Bytes that the longest integer or array head takes. */
export const CBOR_LONGEST_HEAD = 9;

/** Room for an array of so many tokens; writers may touch the last 3 bytes without using them. */
export function tokensRoom(count: number): number {
  return CBOR_LONGEST_HEAD * (count + 1) + 3;
}

/** Writes the integer high · 2^32 + low. */
export function writeUint64(view: DataView, at: number, high: number, low: number): number {
  if (high === 0) return writeHead(view, at, 0, low);
  view.setUint8(at, UINT64);
  view.setUint32(at + 1, high);
  view.setUint32(at + 5, low);
  return at + 9;
}

/** Writes a byte string. */
export function writeBytes(view: DataView, at: number, bytes: Uint8Array): number {
  const to = writeHead(view, at, BYTES, bytes.length);
  new Uint8Array(view.buffer, view.byteOffset + to).set(bytes);
  return to + bytes.length;
}

/** Writes tokens[start] to tokens[end - 1] as an array. */
export function writeTokens(view: DataView, at: number, tokens: TokenArray, start: number, end: number): number {
  const items = writeHead(view, at, ARRAY, end - start);
  return tokens instanceof Uint32Array
    ? writeNarrow(view, items, tokens, start, end)
    : writeWide(view, items, tokens, start, end);
}

/** CBOR of a text. */
export function cborText(text: string): Uint8Array {
  const utf8 = new TextEncoder().encode(text);
  const out = new Uint8Array(CBOR_LONGEST_HEAD + utf8.length);
  const at = writeHead(new DataView(out.buffer), 0, TEXT, utf8.length);
  out.set(utf8, at);
  return out.subarray(0, at + utf8.length);
}

/** Writes a head of a major type with an argument below 2^32. */
function writeHead(view: DataView, at: number, major: number, value: number): number {
  if (value < 24) {
    view.setUint8(at, major | value);
    return at + 1;
  }
  if (value < 0x100) {
    view.setUint8(at, major | UINT8);
    view.setUint8(at + 1, value);
    return at + 2;
  }
  if (value < 0x10000) {
    view.setUint8(at, major | UINT16);
    view.setUint16(at + 1, value);
    return at + 3;
  }
  view.setUint8(at, major | UINT32);
  view.setUint32(at + 1, value);
  return at + 5;
}

/**
 * Most tokens take 2 or 4 bytes, in no order a processor could foresee: both are written without a branch, shifted to
 * the left of a 4-byte word of which the next token overwrites what is too much. `| 0` keeps the offset an int.
 */
function writeNarrow(view: DataView, at: number, tokens: Uint32Array, start: number, end: number): number {
  let to = at | 0;
  for (let i = start; i < end; i++) {
    const token = tokens[i] ?? 0;
    if (token < 0x100) {
      to = writeHead(view, to, 0, token) | 0;
      continue;
    }
    // 0, or -1 for a token of 4 bytes.
    const wide = (0 - (token >>> 16)) >> 31;
    view.setUint8(to, UINT16 - wide);
    view.setUint32(to + 1, token << (~wide & 16));
    to = (to + 3 - 2 * wide) | 0;
  }
  return to;
}

function writeWide(view: DataView, at: number, tokens: Float64Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const token = tokens[i] ?? 0;
    at = writeUint64(view, at, Math.floor(token / 2 ** 32), token >>> 0);
  }
  return at;
}
