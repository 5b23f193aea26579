/** Headers of a prompt's chunks as this library writes them: spelled from one template, and recognised by it. */
import { KVOffloadError } from '../errors.js';
import { HEADER_BYTES, type HeaderIdentity, type HeaderKind, HeaderTemplate, sumBlockBytes } from '../layout/index.js';
import type { ChunkSet, PromptChunk } from './chunk-set.js';
import type { ChunkTensor } from './model.js';

interface Templates {
  /** Throws what `HeaderTemplate` throws. */
  readonly summed: HeaderTemplate;
  readonly plain: HeaderTemplate;
}

/** Made once for each of a model's tensors: for a call of few chunks they are most of the work. */
const made: Readonly<Record<HeaderKind, WeakMap<ChunkTensor, Templates>>> = {
  json: new WeakMap(),
  binary: new WeakMap(),
};

/** The headers of one set of chunks, for one call. */
export class OwnHeaders {
  readonly #set: ChunkSet;
  /** Of chunks that were foreseen. */
  readonly #identities = new Map<PromptChunk, HeaderIdentity>();
  /** All chunks but a short tail have one tensor. */
  #tensor: ChunkTensor | undefined;
  #templates: Templates | undefined;

  constructor(set: ChunkSet) {
    this.#set = set;
  }

  /**
   * Makes what headers of these chunks are compared with, prefix digests above all: done while their bytes move, it costs
   * nobody time.
   */
  foresee(chunks: readonly PromptChunk[]): void {
    for (const chunk of chunks) this.#identities.set(chunk, this.#identity(chunk));
  }

  /**
   * Writes the header of a chunk; returns where in it the sums' place begins, 0 without sums.
   *
   * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for a tensor that headers of the set's generation can't describe
   */
  write(headers: Buffer, at: number, chunk: PromptChunk, checksums: boolean): number {
    const templates = this.#of(chunk.tensor);
    return (checksums ? templates.summed : templates.plain).write(headers, at, this.#identity(chunk));
  }

  /**
   * Whether a file's header is byte for byte the one that this library writes for the chunk: key, prefix digest, dtype,
   * shape, format and size are then those that `judge` would ask for.
   *
   * @param digits - the payload's sums as it was read, in hex; undefined where they were not computed
   * @param paddedFrom - where its padding begins, as the engine found
   * @returns `verified` where its sums are those; `same` where it has none, or there are none to compare with;
   *   undefined where the header must be judged by what it says
   */
  recognise(
    headers: Buffer,
    operation: number,
    chunk: PromptChunk,
    digits: string | undefined,
    paddedFrom?: number,
  ): 'verified' | 'same' | undefined {
    const at = operation * HEADER_BYTES;
    try {
      const { summed, plain } = this.#of(chunk.tensor);
      // Its digest costs, and LMCache's own headers have none to compare it with.
      if (!summed.hasExtras(headers, at)) return undefined;
      const identity = this.#identities.get(chunk) ?? this.#identity(chunk);
      if (summed.matches(headers, at, identity, digits, paddedFrom)) return digits === undefined ? 'same' : 'verified';
      return plain.matches(headers, at, identity, '', paddedFrom) ? 'same' : undefined;
    } catch (error) {
      // A chunk that this library can't write in that generation: whoever did, its header says what it is.
      if (error instanceof KVOffloadError) return undefined;
      throw error;
    }
  }

  #identity(chunk: PromptChunk): HeaderIdentity {
    return { jsonKey: this.#set.jsonKey(chunk), chunkIndex: chunk.index, prefix: this.#set.digest(chunk) };
  }

  #of(tensor: ChunkTensor): Templates {
    if (this.#templates !== undefined && this.#tensor === tensor) return this.#templates;
    const kind = this.#set.generation.header;
    let templates = made[kind].get(tensor);
    if (templates === undefined) {
      templates = {
        summed: new HeaderTemplate(tensor, sumBlockBytes(tensor.bytes), kind),
        plain: new HeaderTemplate(tensor, 0, kind),
      };
      made[kind].set(tensor, templates);
    }
    this.#templates = templates;
    this.#tensor = tensor;
    return templates;
  }
}
