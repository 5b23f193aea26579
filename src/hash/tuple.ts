/** How Python objects become bytes: what a spelling must bring to be digested. */
import type { TokenArray } from '../chunks.js';

/** The hash before a chunk's: the integer high · 2^32 + low, or, where `bytes` is set, those. Changed as a chain is walked. */
export interface Link {
  high: number;
  low: number;
  bytes: Uint8Array | undefined;
}

/** The longest digest that a link can be, SHA-256's. */
export const LONGEST_LINK = 32;

/** One spelling. */
export interface TupleSpelling {
  /** A str of up to 2^32 - 1 bytes of UTF-8. */
  text(text: string): Uint8Array;
  /** Bytes that a tuple of so many tokens can take at most; writers may touch all of them. */
  room(count: number): number;
  /** Writes (link, tokens[start, end), None or ()) from the view's start; returns its length. */
  tuple(view: DataView, link: Link, tokens: TokenArray, start: number, end: number, extra: 'none' | 'empty'): number;
}
