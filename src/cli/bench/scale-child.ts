/** One process of several on a directory, told what to do by messages: `kv-offload bench scale` forks it. */
import { loadConfig } from '../../config/index.js';
import type { Slot } from '../../store/slot.js';
import { KVCacheEngine } from '../../store/engine.js';
import { serveAs } from './child.js';
import { requireAll } from './ours.js';
import { presetOf } from './presets.js';
import { median } from './statistics.js';

export type Task =
  | {
      readonly task: 'begin';
      readonly directory: string;
      readonly chunk: string;
      readonly chunks: number;
      readonly threads: number;
    }
  /** Stores the chunks of this process, counted from 0. */
  | { readonly task: 'store'; readonly of: number; readonly round: number }
  /** Retrieves those of that one. */
  | { readonly task: 'retrieve'; readonly of: number; readonly round: number }
  | {
      readonly task: 'open';
      readonly directory: string;
      readonly empty: string;
      readonly prompts: number;
      readonly repeats: number;
    }
  | { readonly task: 'end' };

export interface Opened {
  readonly openMs: number[];
  readonly openMiB: number;
  readonly lookupMs: number[];
  readonly hashingMs: number;
}

/** Chunks a prompt of the many small files that `scale` makes, and tokens a chunk. */
export const SCALE_CHUNKS = 512;
export const SCALE_TOKENS = 16;
/** Payload bytes that their sizes stand for. */
export const SCALE_BYTES = 64;
export const SCALE_MODEL = {
  modelName: 'bench-scale',
  kvDtype: 'uint8',
  useMla: true,
  kvShape: [1, 1, SCALE_TOKENS, 1, SCALE_BYTES / SCALE_TOKENS] as const,
};

/** The tokens of such a prompt; none begins as another does. */
export function scaleTokens(prompt: number): Uint32Array {
  return Uint32Array.from({ length: SCALE_CHUNKS * SCALE_TOKENS }, (_, i) => (i === 0 ? prompt : i));
}

/** Scale is about files and processes: chunks lie in host memory whatever the settings say. */
const IN_HOST = { device: 'cpu', require_gds: false };

/** An engine for those files. */
export async function openScaleEngine(directory: string): Promise<KVCacheEngine> {
  const overrides = { weka_path: directory, chunk_size: SCALE_TOKENS, cufile_buffer_size: 1, min_retrieve_tokens: 0 };
  const own = { use_layerwise: false, extra_config: { kv_offload: IN_HOST } };
  return KVCacheEngine.open(await loadConfig({ overrides: { ...overrides, ...own } }), SCALE_MODEL);
}

let engine: KVCacheEngine | undefined;
let slots: Slot[] = [];
let chunkTokens = 0;

async function carryOut(task: Task): Promise<unknown> {
  if (task.task === 'open') return measureOpen(task);
  if (task.task === 'begin') {
    const preset = presetOf(task.chunk);
    chunkTokens = preset.chunkTokens;
    const mib = Math.ceil((task.chunks * Math.ceil(preset.chunkBytes / 65_536) * 65_536) / 2 ** 20);
    const overrides = {
      weka_path: task.directory,
      chunk_size: chunkTokens,
      cufile_buffer_size: mib,
      min_retrieve_tokens: 0,
    };
    const own = { use_layerwise: false, extra_config: { disk_io_threads: task.threads, kv_offload: IN_HOST } };
    engine = await KVCacheEngine.open(await loadConfig({ overrides: { ...overrides, ...own } }), preset.model);
    slots = await engine.lease(task.chunks);
    for (const [i, slot] of slots.entries()) slot.bytes.fill(i + 1);
    return null;
  }
  if (task.task === 'end') {
    await engine?.close();
    return null;
  }
  if (engine === undefined) throw new Error('not begun');
  const first = (task.of * 10_000 + task.round) * 100_000;
  const tokens = Uint32Array.from({ length: slots.length * chunkTokens }, (_, i) => first + i);
  if (task.task === 'store') requireAll('stored', (await engine.store(tokens, slots)).chunks);
  else requireAll('hit', (await engine.retrieve(tokens, slots)).chunks);
  return null;
}

async function measureOpen({ directory, empty, prompts, repeats }: Extract<Task, { task: 'open' }>): Promise<Opened> {
  // Once elsewhere: code that is compiled then is not the directory's.
  await (await openScaleEngine(empty)).close();
  const rss = process.memoryUsage().rss;
  const openMs: number[] = [];
  let openMiB = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const began = performance.now();
    const opened = await openScaleEngine(directory);
    openMs.push(performance.now() - began);
    if (repeat === 0) openMiB = (process.memoryUsage().rss - rss) / 2 ** 20;
    await opened.close();
  }
  await using looking = await openScaleEngine(directory);
  const lookupMs: number[] = [];
  const hashing: number[] = [];
  for (let repeat = -3; repeat < repeats * 10; repeat++) {
    const tokens = scaleTokens((Math.max(repeat, 0) * 7919) % prompts);
    let began = performance.now();
    looking.prepare(tokens);
    const hashed = performance.now() - began;
    began = performance.now();
    const found = await looking.lookup(tokens);
    const took = performance.now() - began;
    if (found !== tokens.length) throw new Error(`lookup found ${found} of ${tokens.length} tokens`);
    if (repeat < 0) continue;
    lookupMs.push(took);
    hashing.push(hashed);
  }
  return { openMs, openMiB, lookupMs, hashingMs: median(hashing) };
}

serveAs('scale-child', carryOut);
