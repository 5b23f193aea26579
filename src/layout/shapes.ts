/** Shapes of chunks, how many bytes they take, and LMCache's names for their memory formats. */
import { dtypeOf } from '../dtypes.js';

/** LMCache's memory formats by name; the number is what headers hold. L layers, T tokens, D = heads · head size. */
export const MEMORY_FORMATS = {
  UNDEFINED: 0,
  /** `[2, L, T, D]` */
  KV_2LTD: 1,
  /** `[T, 2, D]`, one layer */
  KV_T2D: 2,
  /** `[2, T, D]`, one layer */
  KV_2TD: 3,
  BINARY: 4,
  BINARY_BUFFER: 5,
  /** `[1, L, T, D]`, multi-head latent attention */
  KV_MLA_FMT: 6,
  EC_TD: 7,
  HS_TD: 8,
} as const;

/** The number of a memory format. */
export type MemoryFormat = (typeof MEMORY_FORMATS)[keyof typeof MEMORY_FORMATS];

const NUMBERS: ReadonlySet<unknown> = new Set(Object.values(MEMORY_FORMATS));

/** True for the numbers of {@link MEMORY_FORMATS}. */
export function isMemoryFormat(value: unknown): value is MemoryFormat {
  return NUMBERS.has(value);
}

/** The name of a memory format, such as `KV_2LTD`. */
export function memoryFormatName(format: MemoryFormat): string {
  return Object.entries(MEMORY_FORMATS).find(([, number]) => number === format)?.[0] ?? String(format);
}

/** What decides a chunk's shape, beside its tokens. */
export interface KvDimensions {
  readonly layers: number;
  /** KV heads on this rank; 1 for MLA. */
  readonly heads: number;
  readonly headSize: number;
}

/** The shape of a chunk of all layers: `[2, L, T, H·D]`, or `[1, L, T, H·D]` for MLA, which keeps keys and values as one. */
export function chunkShape(
  { layers, heads, headSize }: KvDimensions,
  tokens: number,
  mla: boolean,
): { shape: readonly [number, number, number, number]; format: MemoryFormat } {
  const width = heads * headSize;
  return mla
    ? { shape: [1, layers, tokens, width], format: MEMORY_FORMATS.KV_MLA_FMT }
    : { shape: [2, layers, tokens, width], format: MEMORY_FORMATS.KV_2LTD };
}

/** The shape of one layer's part of a chunk: `[T, 2, H·D]`. LMCache's layerwise objects. */
export function layerShape(
  { heads, headSize }: Pick<KvDimensions, 'heads' | 'headSize'>,
  tokens: number,
): { shape: readonly [number, number, number]; format: MemoryFormat } {
  return { shape: [tokens, 2, heads * headSize], format: MEMORY_FORMATS.KV_T2D };
}

/** Bytes of a tensor. Beyond 2^53 - 1 it is no exact number: check with Number.isSafeInteger where shapes come from outside. */
export function shapeBytes(shape: readonly number[], dtype: string): number {
  return shape.reduce((bytes, dimension) => bytes * dimension, dtypeOf(dtype).bytes);
}

/**
 * The memory format of a shape of which nothing else is known: 4 dimensions are all layers, KV_2LTD after a leading 2,
 * KV_MLA_FMT after a leading 1; 3 are one layer, KV_T2D with a 2 in the middle, as layerwise chunks are, else KV_2TD after
 * a leading 2. Anything else is BINARY.
 */
export function defaultFormat(shape: readonly number[]): MemoryFormat {
  const [first, second] = shape;
  if (shape.length === 4 && first === 2) return MEMORY_FORMATS.KV_2LTD;
  if (shape.length === 4 && first === 1) return MEMORY_FORMATS.KV_MLA_FMT;
  if (shape.length === 3 && second === 2) return MEMORY_FORMATS.KV_T2D;
  if (shape.length === 3 && first === 2) return MEMORY_FORMATS.KV_2TD;
  return MEMORY_FORMATS.BINARY;
}
