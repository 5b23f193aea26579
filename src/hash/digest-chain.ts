/** Algorithms that digest the bytes of a tuple: h[i] = digest(spell((h[i-1], tokens of chunk i, extra))), cut by the regime. */
import { hash } from 'node:crypto';
import type { ChunkHash } from './chunk-hash.js';
import { type HashRow, UNSEEDED, chainLength, unsignedLink, wholeLink } from './row.js';
import { type Link, LONGEST_LINK, type TupleSpelling } from './tuple.js';

/** Gives a digest's bytes as a string of one character a byte: measured faster than a Buffer, which costs an object each. */
export type Digest = (bytes: Uint8Array) => string;

/** SHA-256. */
export const sha256: Digest = (bytes) => hash('sha256', bytes, 'binary');
const SHA256_BYTES = LONGEST_LINK;

/** Where in a digest the 8 bytes begin that a regime keeps. */
const KEPT_AT = { first8: 0, last8: SHA256_BYTES - 8 } as const;

/** The row of an algorithm that digests the tuples of a spelling to 32 bytes. */
export function digestRow(spelling: TupleSpelling, digest: Digest): HashRow {
  return {
    noneHash({ seed = UNSEEDED }, { keeps }) {
      const bytes = digest(spelling.text(seed));
      if (keeps === 'all') return hexOf(bytes);
      return (BigInt(word(bytes, KEPT_AT[keeps])) << 32n) | BigInt(word(bytes, KEPT_AT[keeps] + 4));
    },
    chain(tokens, chunkSize, noneHash, tail, regime) {
      const bytes = new Uint8Array(spelling.room(Math.min(chunkSize, tokens.length)));
      const view = new DataView(bytes.buffer);
      const walk: Walk = {
        count: chainLength(tokens.length, chunkSize, tail),
        digest(i, link) {
          const start = i * chunkSize;
          const end = Math.min(start + chunkSize, tokens.length);
          return digest(bytes.subarray(0, spelling.tuple(view, link, tokens, start, end, regime.extra)));
        },
      };
      return regime.keeps === 'all' ? wholeDigests(walk, noneHash) : integers(walk, noneHash, KEPT_AT[regime.keeps]);
    },
  };
}

/** A sequence's chunks, to be digested one after the other. */
interface Walk {
  readonly count: number;
  /** Digests chunk i behind that link. */
  digest(i: number, link: Link): string;
}

/** 8 bytes of each digest, from `keptAt` on, as an integer. */
function integers(walk: Walk, noneHash: ChunkHash, keptAt: number): bigint[] {
  const hashes = new BigUint64Array(walk.count);
  // Halves, since BigInt arithmetic would cost an object a step; little-endian, as every platform of ours.
  const halves = new Uint32Array(hashes.buffer);
  const link = integerLink(unsignedLink(noneHash));
  for (let i = 0; i < hashes.length; i++) {
    const digested = walk.digest(i, link);
    link.high = word(digested, keptAt);
    link.low = word(digested, keptAt + 4);
    halves[2 * i] = link.low;
    halves[2 * i + 1] = link.high;
  }
  return Array.from(hashes);
}

/** Each digest as it is. */
function wholeDigests(walk: Walk, noneHash: ChunkHash): string[] {
  const none = wholeLink(noneHash, SHA256_BYTES);
  const link = typeof none === 'bigint' ? integerLink(none) : { high: 0, low: 0, bytes: none };
  return Array.from({ length: walk.count }, (_, i) => {
    const hex = hexOf(walk.digest(i, link));
    link.bytes = Buffer.from(hex, 'hex');
    return hex;
  });
}

function integerLink(integer: bigint): Link {
  return { high: Number(integer >> 32n), low: Number(integer & 0xffffffffn), bytes: undefined };
}

function hexOf(digest: string): string {
  return Buffer.from(digest, 'latin1').toString('hex');
}

/** Four characters of a digest as a big-endian number. */
function word(digest: string, at: number): number {
  const bits =
    (digest.charCodeAt(at) << 24) |
    (digest.charCodeAt(at + 1) << 16) |
    (digest.charCodeAt(at + 2) << 8) |
    digest.charCodeAt(at + 3);
  return bits >>> 0;
}
