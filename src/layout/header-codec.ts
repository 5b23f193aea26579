/** What one kind of header must bring to stand in the table of header.ts. */
import type { ChunkHeader, DecodedHeader } from './chunk-header.js';
import type { Fail } from './header-fields.js';

/** One kind. */
export interface HeaderCodec {
  /** The little-endian u64 that begins it and no other. */
  readonly word: bigint;
  /**
   * Writes all 4096 bytes of `out`, of a header that was checked.
   *
   * @returns the offset of the sums' place, 0 without sums
   * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for what this kind cannot say
   */
  encode(out: Buffer, header: ChunkHeader): number;
  /** @param bytes - at most 4096, its word included */
  decode(bytes: Buffer, fail: Fail): Omit<DecodedHeader, 'kind'>;
}
