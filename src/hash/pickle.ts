/**
 * Tuples in Python's pickle protocol 5, as vLLM's `sha256` and `xxhash` spell them: what CPython's C pickler makes of
 * them, to the byte (its opcodes are in Lib/pickletools.py, its frames in Modules/_pickle.c).
 */
import type { TokenArray } from '../chunks.js';
import { LONGEST_LINK, type TupleSpelling } from './tuple.js';

const PROTO = 0x80;
const FRAME = 0x95;
const STOP = 0x2e;
const MEMOIZE = 0x94;
const NONE = 0x4e;
const EMPTY_TUPLE = 0x29;
const MARK = 0x28;
const TUPLE = 0x74;
const TUPLE1 = 0x85;
/** Integers of 1, 2 and 4 bytes, little-endian; the last is signed. */
const BININT1 = 0x4b;
const BININT2 = 0x4d;
const BININT = 0x4a;
/** A length byte, then so many bytes, little-endian and signed. */
const LONG1 = 0x8a;
const SHORT_BINBYTES = 0x43;
const SHORT_BINUNICODE = 0x8c;
const BINUNICODE = 0x58;

/** A protocol byte pair, a frame's head. */
const START = 2;
const FRAME_HEAD = 9;
/** A frame of so many bytes or more is closed when the next object begins. */
const FULL_FRAME = 65_536;
/** Bytes that the longest token takes. */
const LONGEST_TOKEN = 9;

export const PICKLE: TupleSpelling = {
  text(text) {
    const utf8 = new TextEncoder().encode(text);
    const out = new Uint8Array(START + FRAME_HEAD + 5 + utf8.length + 2);
    const view = new DataView(out.buffer);
    const short = utf8.length < 0x100;
    let at = begin(view);
    view.setUint8(at, short ? SHORT_BINUNICODE : BINUNICODE);
    if (short) view.setUint8(at + 1, utf8.length);
    else view.setUint32(at + 1, utf8.length, true);
    at += short ? 2 : 5;
    out.set(utf8, at);
    at += utf8.length;
    view.setUint8(at, MEMOIZE);
    return out.subarray(0, finish(view, START + FRAME_HEAD, at + 1));
  },
  room: (count) => START + 2 * FRAME_HEAD + LONGEST_LINK + (LONGEST_TOKEN + 1) * count + 32,
  tuple(view, { high, low, bytes }, tokens, start, end, extra) {
    let at = begin(view);
    if (bytes === undefined) {
      at = writeInteger(view, at, high, low);
    } else {
      view.setUint8(at, SHORT_BINBYTES);
      view.setUint8(at + 1, bytes.length);
      new Uint8Array(view.buffer, view.byteOffset + at + 2).set(bytes);
      at += 2 + bytes.length;
      view.setUint8(at++, MEMOIZE);
    }
    const count = end - start;
    if (count > 3) view.setUint8(at++, MARK);
    let frame = START + FRAME_HEAD;
    // Where the last full frame ends; tokens are many, and few of them fill one.
    let next = start;
    while (next < end) {
      if (at - frame >= FULL_FRAME) at = frame = nextFrame(view, frame, at);
      // Tokens that fit in any case, so that the loop over them need not look.
      const some = Math.max(1, Math.floor((FULL_FRAME - (at - frame)) / LONGEST_TOKEN));
      const until = Math.min(end, next + some);
      at = writeTokens(view, at, tokens, next, until);
      next = until;
    }
    at = writeTupleEnd(view, at, count);
    if (at - frame >= FULL_FRAME) at = frame = nextFrame(view, frame, at);
    view.setUint8(at, extra === 'none' ? NONE : EMPTY_TUPLE);
    return finish(view, frame, writeTupleEnd(view, at + 1, 3));
  },
};

function begin(view: DataView): number {
  view.setUint8(0, PROTO);
  view.setUint8(1, 5);
  view.setUint8(START, FRAME);
  return START + FRAME_HEAD;
}

/** Closes the frame whose content begins at `frame` and opens another; returns where its content begins. */
function nextFrame(view: DataView, frame: number, at: number): number {
  writeLength(view, frame, at);
  view.setUint8(at, FRAME);
  return at + FRAME_HEAD;
}

function finish(view: DataView, frame: number, at: number): number {
  view.setUint8(at, STOP);
  writeLength(view, frame, at + 1);
  return at + 1;
}

function writeLength(view: DataView, frame: number, at: number): void {
  view.setUint32(frame - 8, at - frame, true);
  view.setUint32(frame - 4, 0, true);
}

/** Makes a tuple of the last `count` objects: of more than 3, those behind the mark. */
function writeTupleEnd(view: DataView, at: number, count: number): number {
  view.setUint8(at, count === 0 ? EMPTY_TUPLE : count > 3 ? TUPLE : TUPLE1 + count - 1);
  if (count === 0) return at + 1;
  view.setUint8(at + 1, MEMOIZE);
  return at + 2;
}

/** Writes the integer high · 2^32 + low. */
function writeInteger(view: DataView, at: number, high: number, low: number): number {
  if (high === 0 && low < 2 ** 31) return writeSmall(view, at, low);
  // Signed: a number whose highest bit begins a byte takes a zero byte more.
  const bits = high === 0 ? 32 : 64 - Math.clz32(high);
  const length = (bits >>> 3) + 1;
  view.setUint8(at, LONG1);
  view.setUint8(at + 1, length);
  view.setUint32(at + 2, low, true);
  view.setUint32(at + 6, high, true);
  view.setUint8(at + 10, 0);
  return at + 2 + length;
}

/** Writes an integer below 2^31: the word is written whole, and the next token overwrites what of it is too much. */
function writeSmall(view: DataView, at: number, value: number): number {
  const over1 = -((255 - value) >> 31);
  const over2 = -((65_535 - value) >> 31);
  view.setUint8(at, BININT1 + over1 * (BININT2 - BININT1) + over2 * (BININT - BININT2));
  view.setUint32(at + 1, value, true);
  return (at + 2 + over1 + 2 * over2) | 0;
}

function writeTokens(view: DataView, at: number, tokens: TokenArray, start: number, end: number): number {
  return tokens instanceof Uint32Array
    ? writeNarrow(view, at, tokens, start, end)
    : writeWide(view, at, tokens, start, end);
}

function writeNarrow(view: DataView, at: number, tokens: Uint32Array, start: number, end: number): number {
  let to = at | 0;
  for (let i = start; i < end; i++) {
    const token = tokens[i] ?? 0;
    to = token < 2 ** 31 ? writeSmall(view, to, token) : writeInteger(view, to, 0, token);
  }
  return to;
}

function writeWide(view: DataView, at: number, tokens: Float64Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const token = tokens[i] ?? 0;
    at = writeInteger(view, at, Math.floor(token / 2 ** 32), token >>> 0);
  }
  return at;
}
