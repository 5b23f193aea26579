/** What a chunk's header says (docs/on-disk-format.md, sections 3 and 4). */
import { type HeaderDtype, isHeaderDtype } from '../dtypes.js';
import { KVOffloadError } from '../errors.js';
import { type MemoryFormat, isMemoryFormat, shapeBytes } from './shapes.js';

/** Bytes before the payload. */
export const HEADER_BYTES = 4096;

/** `json`: a length word, then JSON padded with spaces. `binary`: numbers alone, as in LMCache's Weka backend of 2025. */
export type HeaderKind = 'json' | 'binary';

/** One tensor of a chunk. */
export interface TensorDescription {
  readonly dtype: HeaderDtype;
  /** At least one dimension, each at least 1. */
  readonly shape: readonly number[];
}

/** A chunk as its header describes it. */
export interface ChunkHeader extends TensorDescription {
  readonly format: MemoryFormat;
  /** All tensors of a chunk of several, one behind the other in the payload; dtype and shape are then the first one's. */
  readonly groups?: readonly TensorDescription[];
  /** Ours; absent in chunks that LMCache wrote. */
  readonly extras?: ChunkExtras;
}

/** What this library keeps in the header beside LMCache's own fields. */
export interface ChunkExtras {
  /** The chunk's key: a file under another's name is corrupt. */
  readonly key?: string;
  /** Position of the chunk in its prompt, counted in chunks from 0. */
  readonly chunkIndex?: number;
  /** SHA-256 of the token prefix up to the chunk's end, 64 lowercase hex digits, as prefixDigests gives it. */
  readonly prefix?: string;
  /** Bytes of payload that one sum covers, as sumBlockBytes gives it; present where there are sums. */
  readonly sumBlock?: number;
  /** XXH3-64 of each block. A header to be stored leaves them out: the engine fills them in. */
  readonly sums?: BigUint64Array;
}

/** A header that was read. */
export interface DecodedHeader extends ChunkHeader {
  readonly kind: HeaderKind;
  /** Bytes of all tensors; a data file has 4096 more. */
  readonly payloadBytes: number;
}

/** Bytes of a chunk's payload. */
export function payloadBytes(header: Omit<ChunkHeader, 'extras' | 'format'>): number {
  const tensors = header.groups ?? [header];
  return tensors.reduce((total, tensor) => total + shapeBytes(tensor.shape, tensor.dtype), 0);
}

/** What can be said of any kind of header before it is spelled. @throws KVOffloadError `KVO_ARGUMENT_INVALID` */
export function checkDescription(header: ChunkHeader): void {
  const tensors = header.groups ?? [header];
  for (const { dtype, shape } of [header, ...tensors]) {
    if (!isHeaderDtype(dtype)) throw invalid(`its dtype ${String(dtype)} has no name in headers`);
    if (shape.length === 0 || !shape.every((dimension) => Number.isSafeInteger(dimension) && dimension > 0)) {
      throw invalid(`its shape [${shape.join(', ')}] is not made of integers from 1 up`);
    }
  }
  if (!isMemoryFormat(header.format)) throw invalid(`its format ${String(header.format)} is none of LMCache's`);
  if (tensors.length === 0 || !Number.isSafeInteger(payloadBytes(header)))
    throw invalid('its bytes are no number from 1 to 2^53 - 1');
}

/** The error for a description that no file can have. */
export function invalid(what: string): KVOffloadError {
  return new KVOffloadError('KVO_ARGUMENT_INVALID', `a chunk cannot be described: ${what}`);
}
