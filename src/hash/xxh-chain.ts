/** LMCache's `xxhash` and `xxhash_cbor`: XXH3-128 is native, and faster than JavaScript spells tuples, so the whole chain is. */
import { native } from '../native.js';
import { type HashRow, UNSEEDED, unsignedLink, wholeLink } from './row.js';
import type { TupleSpelling } from './tuple.js';

/** Bytes that a regime keeps of a digest as an integer, and all of them. */
const INTEGER = 8;
const DIGEST = 16;

/** @param spelling - that of the algorithm's tuples, here for the seed alone */
export function xxhRow(algorithm: 'xxhash' | 'xxhash_cbor', spelling: TupleSpelling): HashRow {
  return {
    noneHash({ seed = UNSEEDED }, { keeps }) {
      const digest = Buffer.from(native().xxh128(spelling.text(seed)));
      return keeps === 'all' ? digest.toString('hex') : digest.readBigUInt64BE(0);
    },
    chain(tokens, chunkSize, noneHash, tail, { keeps, extra }) {
      if (keeps !== 'all') {
        const none = unsignedLink(noneHash);
        const kept = Buffer.from(native().hashChain(algorithm, none, tokens, chunkSize, tail, extra, INTEGER).buffer);
        return Array.from({ length: kept.length / INTEGER }, (_, i) => kept.readBigUInt64BE(i * INTEGER));
      }
      const none = wholeLink(noneHash, DIGEST);
      const kept = Buffer.from(native().hashChain(algorithm, none, tokens, chunkSize, tail, extra, DIGEST).buffer);
      return Array.from({ length: kept.length / DIGEST }, (_, i) => kept.toString('hex', i * DIGEST, (i + 1) * DIGEST));
    },
  };
}
