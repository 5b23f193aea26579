/**
 * The identity of a whole prompt prefix, kept in each chunk's header (docs/on-disk-format.md, section 4).
 *
 * A chunk's name carries 64 bits of a hash, so two prompts can share one; the full SHA-256 tells them apart.
 */
import { hash } from 'node:crypto';
import { tokensRoom, writeTokens } from './cbor.js';
import { chainLength } from './row.js';
import type { TokenArray } from '../chunks.js';

const DIGEST_BYTES = 32;
const START = hash('sha256', 'kv-offload prefix 1', 'hex');

/**
 * P[i] = SHA-256(P[i-1] ‖ canonical CBOR array of chunk i's tokens), P[-1] = SHA-256 of `kv-offload prefix 1`.
 *
 * @param tokens - the whole sequence from its first token, whatever part of it is stored
 * @param chunkSize - tokens a chunk
 * @param options - `saveUnfullChunk`: whether a tail shorter than a chunk has a digest too, default false
 * @returns one digest a chunk, 64 lowercase hex digits
 */
export function prefixDigests(
  tokens: TokenArray,
  chunkSize: number,
  options: { readonly saveUnfullChunk?: boolean } = {},
): string[] {
  const bytes = Buffer.alloc(DIGEST_BYTES + tokensRoom(Math.min(chunkSize, tokens.length)));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks = chainLength(tokens.length, chunkSize, options.saveUnfullChunk === true);
  const digests: string[] = [];
  let previous = START;
  for (let i = 0; i < chunks; i++) {
    const start = i * chunkSize;
    bytes.write(previous, 0, DIGEST_BYTES, 'hex');
    const end = writeTokens(view, DIGEST_BYTES, tokens, start, Math.min(start + chunkSize, tokens.length));
    previous = hash('sha256', bytes.subarray(0, end), 'hex');
    digests.push(previous);
  }
  return digests;
}
