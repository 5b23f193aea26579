/**
 * KV cache offload for LLM inference: chunks of a model's KV cache in files, in LMCache's own formats, and back.
 *
 * @packageDocumentation
 */
export { type Tokens } from './chunks.js';
export * from './config/index.js';
export { ERROR_CODES, type ErrorCode, KVOffloadError } from './errors.js';
export {
  type ChunkExtras,
  type ChunkHeader,
  type DecodedHeader,
  type HeaderKind,
  type MemoryFormat,
  MEMORY_FORMATS,
  type Mount,
  type MountSources,
  type TensorDescription,
  findMount,
} from './layout/index.js';
export { type Via } from './outcomes.js';
export { type Wait } from './plan.js';
export * from './readiness/index.js';
export { type LeaseOptions } from './store/arena.js';
export { MemoryRegion } from './store/memory-region.js';
export { type Registration } from './store/backing.js';
export { Slot } from './store/slot.js';
export { type Base } from './store/bases.js';
export { type CallContext } from './store/channels.js';
export {
  ChunkFiles,
  type ChunkInspection,
  type ListedChunk,
  type ReadChunk,
  type TensorInfo,
  type WriteOptions,
} from './store/chunk-files.js';
export { DeviceRegion, type IpcMemory } from './store/device-region.js';
export { type CloseReport, type EngineStats, KVCacheEngine, type PromptLike } from './store/engine.js';
export { Prompt } from './store/prompt.js';
export { type GpuInfo } from './store/gpu.js';
export { type Route, type TransportInfo } from './store/transport.js';
export type * from './store/types.js';
