/** The chunks of a prompt as one set of files: all layers in one object, or the objects of one layer. */
import type { ChunkRange } from '../chunks.js';
import type { ChunkHash } from '../hash/index.js';
import type { ChunkNamer, Generation } from '../layout/index.js';
import type { ChunkTensor } from './model.js';

/** One chunk. */
export interface PromptChunk extends ChunkRange {
  readonly tensor: ChunkTensor;
  readonly hash: ChunkHash;
}

/** What a set takes from its prompt. */
export interface PromptParts {
  readonly skipTokens: number;
  readonly generation: Generation;
  /** SHA-256 of the prompt up to the end of a chunk, by the chunk's index. */
  readonly digest: (index: number) => string;
}

/** Chunks with their names below each base path. */
export class ChunkSet {
  /** The chunks after the skipped ones. */
  readonly chunks: readonly PromptChunk[];
  /** Tokens at the start that are skipped. */
  readonly skipTokens: number;
  /** How the chunks are named, and what stands before their payload. */
  readonly generation: Generation;
  readonly #digest: PromptParts['digest'];
  readonly #namers: readonly ChunkNamer[];
  readonly #paths: (readonly string[] | undefined)[] = [];

  /** @param namers - one a base path */
  constructor(prompt: PromptParts, chunks: readonly PromptChunk[], namers: readonly ChunkNamer[]) {
    this.chunks = chunks;
    this.skipTokens = prompt.skipTokens;
    this.generation = prompt.generation;
    this.#digest = prompt.digest;
    this.#namers = namers;
  }

  /** Every chunk's data file below one base. @throws KVOffloadError `KVO_KEY_TOO_LONG` */
  paths(base: number): readonly string[] {
    const namer = this.#namer(base);
    return (this.#paths[base] ??= this.chunks.map((chunk) => namer.path(chunk.hash)));
  }

  /** The text of a chunk's key. */
  key(chunk: PromptChunk): string {
    return this.#namer(0).key(chunk.hash);
  }

  /** The same in quotes, as headers spell it. */
  jsonKey(chunk: PromptChunk): string {
    return this.#namer(0).jsonKey(chunk.hash);
  }

  /** SHA-256 of the prompt up to the chunk's end, as docs/on-disk-format.md has it. */
  digest(chunk: PromptChunk): string {
    return this.#digest(chunk.index);
  }

  #namer(base: number): ChunkNamer {
    const namer = this.#namers[base];
    if (!namer) throw new RangeError(`there is no base path ${base}`);
    return namer;
  }
}
