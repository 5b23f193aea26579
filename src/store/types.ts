/** The words of the facade: what a caller hands in and gets back. */
import type { KVOffloadError } from '../errors.js';
import type { Via } from '../outcomes.js';
import type { Wait } from '../plan.js';
import type { MemoryRegion } from './memory-region.js';
import type { Slot } from './slot.js';
import type { DeviceRegion } from './device-region.js';

/** The model whose KV cache is kept; it decides keys and chunk shapes. */
export interface ModelDescription {
  /** As vLLM is given it, such as `meta-llama/Llama-3.1-8B-Instruct`. */
  readonly modelName: string;
  /** Tensor-parallel ranks. Default 1. */
  readonly worldSize?: number;
  /** This rank. Default 0. */
  readonly workerId?: number;
  /** torch's name, a key's or a header's: `bfloat16`, `half`, `F16`, `fp8_e4m3fn`, … */
  readonly kvDtype: string;
  /** (layers, 2, or 1 for MLA, chunk_size, KV heads on this rank, head size), as LMCache's `kv_shape`. */
  readonly kvShape: readonly [layers: number, kv: number, chunk: number, heads: number, headSize: number];
  /** Multi-head latent attention (DeepSeek): keys hold world size 1, and only worker 0 stores, for all to read. Default false. */
  readonly useMla?: boolean;
}

/** What every call takes. */
export interface CallOptions {
  /** Drops what has not begun. What is in flight is waited for, so that memory is free once the call settles. */
  readonly signal?: AbortSignal;
  /** Tokens at the start that the caller already has: hashed, since the chain runs through them, but not moved. A multiple of chunk_size. Default 0. */
  readonly skipTokens?: number;
  /**
   * LMCache's `lmcache.tag.*` entries, without the prefix, in order: part of each chunk's key. Names that are numbers
   * lose their order in an object, by JavaScript's own rule: pass pairs then.
   */
  readonly tags?: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[];
}

/** What store and retrieve take. */
export interface MoveOptions extends CallOptions {
  /**
   * What of the GPU's work must be done before memory is read or written: a CUevent that was recorded, a CUstream (all
   * that it was given before this call; 0 is the default stream), another process's event by its IPC handle (64 bytes,
   * recorded there before this call), or `device`, for everything that this process gave the GPU. CUDA's handles are
   * addresses: one that is none may end the process. Default: nothing, so that the caller must have waited.
   */
  readonly after?: Wait | 'device';
}

/** What became of one chunk of a store. */
export type StoreOutcome = 'stored' | 'exists' | 'dropped' | 'failed';
/** What became of one chunk of a retrieve. */
export type RetrieveOutcome = 'hit' | 'miss' | 'corrupt' | 'failed';

/** One chunk's part of an answer. */
export interface ChunkResult<Outcome extends string> {
  /** Position of the chunk in the token sequence, counted in chunks from 0. */
  readonly index: number;
  /** First token. */
  readonly start: number;
  /** One past the last token. */
  readonly end: number;
  readonly outcome: Outcome;
  /** Payload bytes of the chunk. */
  readonly bytes: number;
  /** How the payload moved; `nothing` where it did not. */
  readonly via: Via;
  /** Why, for every outcome but `stored`, `exists`, `hit` and a plain `miss`. */
  readonly error?: KVOffloadError;
}

export interface StoreResult {
  /** One entry a chunk, in order. */
  readonly chunks: readonly ChunkResult<StoreOutcome>[];
  /** How many chunks are now in the cache: `stored` and `exists`. */
  readonly present: number;
}

/** A retrieved chunk; `verified` where its sums were compared. */
export interface RetrievedChunk extends ChunkResult<RetrieveOutcome> {
  readonly verified: boolean;
}

export interface RetrieveResult {
  /** Length in tokens of the usable prefix, skipped tokens included: up to the first chunk that is not a hit. */
  readonly tokens: number;
  /** One entry a chunk that was asked for, in order. */
  readonly chunks: readonly RetrievedChunk[];
}

/** Bytes a chunk is read into or written from. A slot may be longer than the chunk: its start is used. */
export type MemoryPart =
  | Slot
  | DeviceRegion
  | NodeJS.ArrayBufferView
  | {
      /** What the bytes are part of. */
      readonly memory: MemoryRegion | DeviceRegion;
      /** Bytes from its start to each of the blocks, in the chunk's order. */
      readonly offsets: BigUint64Array;
      /** Bytes of each block. */
      readonly length: number;
    }
  | {
      /** What the bytes are part of. */
      readonly memory: Slot | MemoryRegion | DeviceRegion | NodeJS.ArrayBufferView;
      /** Bytes from its start. Default 0. */
      readonly offset?: number;
      /** Bytes. Default: up to its end. */
      readonly length?: number;
    };

/** A chunk's memory: one part, or several whose bytes follow each other in the chunk (a paged KV cache). */
export type ChunkMemory = MemoryPart | readonly MemoryPart[];
