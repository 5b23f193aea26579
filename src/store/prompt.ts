/** A prompt whose chunks are hashed and named once, to be looked up, stored and retrieved without doing it again. */
import { type TokenArray, type Tokens, chunkRanges, toTokens } from '../chunks.js';
import type { Config } from '../config/index.js';
import { type ChunkHash, type HashOptions, hashChunks, prefixDigests } from '../hash/index.js';
import { chunkNamer, generationOf } from '../layout/index.js';
import { type Plan, planExists } from '../plan.js';
import type { Base } from './bases.js';
import { ChunkSet, type PromptParts } from './chunk-set.js';
import { type Model, tagsOf } from './model.js';
import type { CallOptions } from './types.js';

/** What an engine hashes and names chunks with. */
export interface PromptContext {
  readonly config: Config;
  readonly noneHash: ChunkHash;
  readonly model: Model;
  readonly bases: readonly Base[];
}

/** A prepared prompt: {@link KVCacheEngine.prepare} makes it, and every call takes it in place of tokens. */
export class Prompt {
  /** How many tokens it has. */
  readonly length: number;
  /** Tokens at the start that are skipped. */
  readonly skipTokens: number;
  /** Its chunks: one set, or with use_layerwise one a layer. @internal */
  readonly sets: readonly ChunkSet[];
  readonly #context: PromptContext;
  readonly #tokens: TokenArray;
  #existsPlan: Plan | undefined;
  #digests: readonly string[] | undefined;

  /** @internal */
  constructor(context: PromptContext, tokens: Tokens, options: Omit<CallOptions, 'signal'>) {
    const { config, model } = context;
    this.#context = context;
    const checked = toTokens(tokens);
    // A copy: prefix digests are made later, and must be of what was hashed even where the caller's array is reused.
    this.#tokens = checked === tokens ? checked.slice() : checked;
    this.length = this.#tokens.length;
    this.skipTokens = options.skipTokens ?? 0;
    const layers = config.useLayerwise ? [...Array(model.layers).keys()] : [undefined];
    this.sets = this.#makeSets(layers, options.tags);
  }

  /** Chunks after the skipped ones. */
  get chunkCount(): number {
    return this.sets[0]?.chunks.length ?? 0;
  }

  /** Whether its keys and paths are those of an engine. @internal */
  isOf(context: PromptContext): boolean {
    return context === this.#context;
  }

  /** Asks for every chunk of every set below every base, set by set and base by base. @internal */
  existsPlan(): Plan {
    const { bases } = this.#context;
    this.#existsPlan ??= planExists(this.sets.flatMap((set) => bases.flatMap((_, base) => set.paths(base))));
    return this.#existsPlan;
  }

  #makeSets(layers: readonly (number | undefined)[], givenTags: CallOptions['tags']): ChunkSet[] {
    const { config, model, bases, noneHash } = this.#context;
    const { chunkSize, saveUnfullChunk } = config;
    const ranges = chunkRanges(this.length, chunkSize, { skipTokens: this.skipTokens, saveUnfullChunk });
    const hashOptions: HashOptions = {
      algorithm: config.preCachingHashAlgorithm,
      regime: config.hashRegime,
      chunkSize,
      noneHash,
      saveUnfullChunk,
    };
    const hashes = ranges.length > 0 ? hashChunks(this.#tokens, hashOptions) : [];
    // Written out, not spread: objects of one shape are several times faster to read, and lookups read thousands.
    const chunks = ranges.map(({ index, start, end }) => {
      return { index, start, end, tensor: model.tensor(end - start), hash: hashes[index] ?? 0n };
    });
    const generation = generationOf(config.lmcacheVersion);
    const parts: PromptParts = { skipTokens: this.skipTokens, generation, digest: (index) => this.#digest(index) };
    const tags = tagsOf(givenTags);
    return layers.map((layerId) => {
      const identity = {
        ...model.identity,
        ...(layerId !== undefined && { layerId }),
        ...(tags.length > 0 && { tags }),
      };
      return new ChunkSet(
        parts,
        chunks,
        bases.map((base) => chunkNamer(generation, base.path, identity, base.suffix)),
      );
    });
  }

  #digest(index: number): string {
    const { chunkSize, saveUnfullChunk } = this.#context.config;
    this.#digests ??= prefixDigests(this.#tokens, chunkSize, { saveUnfullChunk });
    return this.#digests[index] ?? '';
  }
}
