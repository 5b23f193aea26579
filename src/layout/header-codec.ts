/** What one kind of header must bring to stand in the table of header.ts. */
import type { ChunkHeader, DecodedHeader } from './chunk-header.js';
import type { Fail } from './header-fields.js';

/** A header into which extras can be written: all bytes but its text, and what stands in that before and after them. */
export interface HeaderFrame {
  /** 4096 bytes, those of the text as they are where the text is shorter. */
  readonly bytes: Buffer;
  /** Where the text begins; it may reach to the end. */
  readonly textAt: number;
  /** Latin-1, as the extras are. */
  readonly start: string;
  readonly end: string;
  /** Where the text's length stands as a u32, in a kind that has it. */
  readonly lengthAt?: number;
}

/** One kind. */
export interface HeaderCodec {
  /** The little-endian u64 that begins it and no other. */
  readonly word: bigint;
  /**
   * All of a header but our extras, of a description that was checked.
   *
   * @param extras - whether there will be any
   * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for what this kind cannot say
   */
  frame(header: Omit<ChunkHeader, 'extras'>, extras: boolean): HeaderFrame;
  /** @param bytes - at most 4096, its word included */
  decode(bytes: Buffer, fail: Fail): Omit<DecodedHeader, 'kind'>;
}
