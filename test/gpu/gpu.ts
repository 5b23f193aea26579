/**
 * Where the tests of this folder run, as scripts/gpu.mjs says: on a GPU, against the stand-ins for CUDA and cuFile, or
 * nowhere. And engines there, whose chunks are one token of as many bytes as a test wants.
 */
import { describe } from 'vitest';
import type { KVCacheEngine, ModelDescription, Slot } from '../../src/index.js';
import { type Setup, openEngine } from '../support/engine.js';
import { fakeGpu } from '../support/gpu.js';
import { payload } from '../support/payload.js';

const where = process.env['KVO_TEST_GPU'];

/** Where nothing of this folder can run. */
export const SKIPPED = where !== 'real' && where !== 'fakes';
/** On a GPU. */
export const IS_REAL = where === 'real';
/** What both a GPU and its stand-in can do. */
export const onGpu = describe.skipIf(SKIPPED);
/** What takes two of them. */
export const onTwoGpus = describe.skipIf(SKIPPED || Number(process.env['KVO_TEST_GPUS']) < 2);
/** What only a GPU can do. */
export const onHardware = describe.skipIf(!IS_REAL);

/** The interpreter that has torch with CUDA, and the one that has LMCache too. */
export const TORCH_PYTHON = process.env['KV_OFFLOAD_INTEROP_TORCH_PYTHON'];
export const LMCACHE_PYTHON = process.env['KV_OFFLOAD_INTEROP_GPU_PYTHON'];

const MIB = 2 ** 20;
const SLOT_ALIGNMENT = 64 * 1024;
/** More bytes than any GPU has. */
export const TOO_MUCH = 2 ** 44;
/** No payload is of these alone. */
export const POISON = 0xa5;

/** Settings of `kv_offload` for this machine. */
export function gpuSettings(own: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return where === 'fakes' ? fakeGpu(own) : { device: 'cuda', ...own };
}

/** A model with one token a chunk, and so many bytes a token. */
export function modelOfBytes(bytes: number): ModelDescription {
  return { modelName: 'org/bytes', kvDtype: 'fp8_e4m3fn', kvShape: [1, 1, 1, 1, bytes], useMla: true };
}

/** What such chunks take in settings: a buffer of so many. */
export function settingsOfBytes(bytes: number, chunks: number): Readonly<Record<string, unknown>> {
  const slot = Math.ceil(bytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
  return { chunk_size: 1, cufile_buffer_size: Math.ceil((slot * chunks) / MIB) };
}

export interface GpuSetup {
  readonly base: string;
  readonly bytes: number;
  /** How many fit into the buffer. */
  readonly chunks: number;
  /** Settings of `kv_offload`. */
  readonly own?: Readonly<Record<string, unknown>>;
  /** Settings of `extra_config`. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What an engine's children are told too. */
export function setupOf({ base, bytes, chunks, own = {}, extra = {} }: GpuSetup): Setup {
  return {
    base,
    model: modelOfBytes(bytes),
    settings: settingsOfBytes(bytes, chunks),
    extra: { gds_io_threads: 8, ...extra },
    own: gpuSettings(own),
  };
}

/** Opens an engine that is closed when the test ends. */
export function openGpuEngine(setup: GpuSetup): Promise<KVCacheEngine> {
  return openEngine(setupOf(setup));
}

/** Each slot gets a payload of its own, which is returned. */
export function fill(slots: readonly Slot[], seed = 0): Uint8Array[] {
  return slots.map((slot, i) => {
    const bytes = payload(seed * 1000 + i, slot.byteLength);
    slot.copyFrom(bytes);
    return bytes;
  });
}

/** Other bytes into every slot, so that nothing passes by having been there before. */
export function poison(slots: readonly Slot[]): void {
  for (const slot of slots) slot.copyFrom(Buffer.alloc(slot.byteLength, POISON));
}

/** Which of the slots do not hold their payload. */
export function wrong(slots: readonly Slot[], expected: readonly Uint8Array[]): number[] {
  return slots.flatMap((slot, i) => {
    const bytes = Buffer.alloc(slot.byteLength);
    slot.copyTo(bytes);
    return bytes.equals(expected[i] ?? Buffer.alloc(0)) ? [] : [i];
  });
}
