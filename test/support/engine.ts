/** Engines of tests: small chunks, few threads, closed when the test ends. */
import { expect, onTestFinished } from 'vitest';
import {
  type Config,
  type ModelDescription,
  type Prompt,
  type Slot,
  KVCacheEngine,
  loadConfig,
} from '../../src/index.js';
import type { ChunkSet } from '../../src/store/chunk-set.js';
import { TRANSPORT, ownForTransport, takeHostMemory } from './device-memory.js';
import { payload } from './payload.js';

/** Tokens a chunk. */
export const CHUNK = 16;
/** Bytes of a chunk of {@link MODEL}. */
export const CHUNK_BYTES = 2048;

/** 2 layers of 2 heads of 8 values: a chunk takes 2 KiB. */
export const MODEL: ModelDescription = { modelName: 'org/small', kvDtype: 'bfloat16', kvShape: [2, 2, CHUNK, 2, 8] };

/** A model whose chunks take so many KiB. */
export function modelOfKiB(kib: number): ModelDescription {
  return { modelName: `org/kib${kib}`, kvDtype: 'bfloat16', kvShape: [1, 2, CHUNK, 1, kib * 16] };
}

export interface Setup {
  /** Cache directories. */
  readonly base: string | readonly string[];
  readonly model?: Partial<ModelDescription>;
  /** Settings, as in the YAML file. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Settings of `extra_config`. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Settings of `extra_config.kv_offload`. */
  readonly own?: Readonly<Record<string, unknown>>;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** System calls that fail; a function is told how many calls of each kind opening makes before the test begins. */
  readonly faults?: string | ((opening: OpeningCalls) => string);
}

/** The configuration of a setup; nothing of this machine's environment is in it. */
export function configOf({ base, settings, extra, own, env }: Setup): Promise<Config> {
  return loadConfig({
    env: env ?? {},
    overrides: {
      weka_path: typeof base === 'string' ? base : base.join(','),
      chunk_size: CHUNK,
      cufile_buffer_size: 1,
      ...settings,
      extra_config: { gds_io_threads: 4, ...extra, kv_offload: { ...ownForTransport(), ...own } },
    },
  });
}

/** Opens an engine that is closed when the test ends. */
export async function openEngine(setup: Setup): Promise<KVCacheEngine> {
  const { faults } = setup;
  const config = await configOf(setup);
  const model = { ...MODEL, ...setup.model };
  const text = typeof faults === 'function' ? faults(await callsOfOpening(config, model)) : faults;
  const engine = await KVCacheEngine.openWith(config, model, text === undefined ? {} : { faults: text });
  onTestFinished(async () => {
    await engine.close();
  });
  await takeHostMemory(engine);
  return engine;
}

/** How often opening makes each system call that tests make fail. */
export type OpeningCalls = Readonly<Record<'open' | 'close' | 'link' | 'unlink' | 'pwritev' | 'preadv', number>>;

/**
 * Opening tries a temporary file in each base: made, linked, opened for direct I/O, written and read, unlinked. How far
 * that goes depends on the filesystem. A fault counts calls from the engine's start, so tests that mean "the first
 * write of a store" must know.
 */
async function callsOfOpening(config: Config, model: ModelDescription): Promise<OpeningCalls> {
  // With a GPU they are made before, by threads of their own, which no fault reaches.
  if (TRANSPORT !== 'host') return { open: 0, close: 0, link: 0, unlink: 0, pwritev: 0, preadv: 0 };
  const engine = await KVCacheEngine.open(config, model);
  await engine.close();
  const count = (calls: (refused: { direct: boolean; links: boolean }) => number) =>
    engine.paths.reduce(
      (sum, base) => sum + calls({ direct: base.directRefused !== undefined, links: base.linksRefused !== undefined }),
      0,
    );
  return {
    open: count(() => 2),
    close: count(({ direct }) => (direct ? 1 : 2)),
    link: count(() => 1),
    unlink: count(({ links }) => (links ? 1 : 2)),
    pwritev: count(({ direct }) => (direct ? 0 : 1)),
    preadv: count(({ direct }) => (direct ? 0 : 1)),
  };
}

/** One payload a chunk, each different. */
export function payloads(count: number, seed = 0, bytes = CHUNK_BYTES): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: count }, (_, i) => payload(seed * 1000 + i, bytes));
}

/** Empty memory for so many chunks. */
export function targets(count: number, bytes = CHUNK_BYTES): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: count }, () => new Uint8Array(bytes));
}

/** Gives slots back. */
export function releaseAll(slots: readonly Slot[]): void {
  for (const slot of slots) slot.release();
}

/** The chunks of a prompt where all layers are one object. */
export function wholeOf(prompt: Prompt): ChunkSet {
  return prompt.sets[0] ?? expect.fail('a prompt has a set');
}
