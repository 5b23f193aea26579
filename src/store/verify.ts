/** Whether a file that was found is the chunk that was asked for. */
import { KVOffloadError } from '../errors.js';
import { type DecodedHeader, HEADER_BYTES, decodeHeader, sumBlockBytes } from '../layout/index.js';
import type { ChunkTensor } from './model.js';

/** What a file must be. */
export interface Expected {
  readonly path: string;
  readonly key: string;
  readonly tensor: ChunkTensor;
  /** SHA-256 of the prompt's prefix; asked for only where the file has one. */
  readonly digest: () => string;
}

/** `collision`: another prompt's chunk under the same 64 bits. `foreign`: a chunk, but of another shape. */
export type Verdict =
  | { readonly kind: 'same'; readonly header: DecodedHeader }
  | { readonly kind: 'collision' | 'foreign' | 'corrupt'; readonly error: KVOffloadError };

/** Judges a file by its header. */
export function judge(headers: Uint8Array, operation: number, expected: Expected): Verdict {
  const { path, key, tensor } = expected;
  let header: DecodedHeader;
  try {
    header = decodeHeader(headers, operation * HEADER_BYTES, path);
  } catch (error) {
    if (error instanceof KVOffloadError) return { kind: 'corrupt', error };
    throw error;
  }
  // Before the shape: a chunk that was renamed to this one's name is nobody's, and can be replaced.
  if (header.extras?.key !== undefined && header.extras.key !== key) {
    return { kind: 'corrupt', error: corrupt(path, `it says that it is the chunk ${header.extras.key}`) };
  }
  if (
    header.dtype !== tensor.dtype ||
    header.format !== tensor.format ||
    !sameShape(header.shape, tensor.shape) ||
    header.payloadBytes !== tensor.bytes
  ) {
    return {
      kind: 'foreign',
      error: new KVOffloadError(
        'KVO_SHAPE_MISMATCH',
        `${path} holds ${header.dtype} [${header.shape.join(', ')}]${header.groups ? ' among other tensors' : ''}, and this model's chunk is ${tensor.dtype} [${tensor.shape.join(', ')}]; ` +
          'give the two models different names, or the same kvShape and dtype',
      ),
    };
  }
  if (header.extras?.prefix !== undefined && header.extras.prefix !== expected.digest()) {
    return {
      kind: 'collision',
      error: new KVOffloadError(
        'KVO_CHUNK_COLLISION',
        `${path} is the chunk of another prompt with the same 64-bit hash`,
      ),
    };
  }
  return { kind: 'same', header };
}

/**
 * Compares the sums of a payload as it was read with those its header has.
 *
 * @param sums - of the blocks of sumBlockBytes(payload)
 * @returns true where they agree, undefined where the header has none that can be compared, else what is wrong
 */
export function compareSums(
  path: string,
  header: DecodedHeader,
  sums: BigUint64Array,
): true | undefined | KVOffloadError {
  const said = header.extras?.sums;
  if (said === undefined || header.extras?.sumBlock !== sumBlockBytes(header.payloadBytes)) return undefined;
  for (const [block, sum] of sums.entries()) {
    if (sum !== said[block]) return corrupt(path, `block ${block} of its payload has another sum than its header says`);
  }
  return true;
}

/** A chunk that must not be used. */
export function corrupt(path: string, what: string): KVOffloadError {
  return new KVOffloadError(
    'KVO_CHUNK_CORRUPT',
    `${path} is corrupt: ${what}; the next store replaces it, or remove it`,
  );
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}
