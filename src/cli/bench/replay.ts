/** Replays a workload: each request looks its prompt up, retrieves what is cached, and stores what is not. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../config/index.js';
import { KVCacheEngine } from '../../store/engine.js';
import { Progress } from '../progress.js';
import { Latencies } from './meters.js';
import { requireAll } from './ours.js';
import { type ChunkPreset, bytesPerToken } from './presets.js';
import type { Report, Row } from './schema.js';
import { type WorkloadOptions, mostTokens, requestsOf } from './workload.js';
import { type Needs, inWorkspace, requireRoom } from './workspace.js';

/** Points along the time that the replay took. */
const BUCKETS = 20;
/** Chunks that one call moves: the buffer has as many slots. */
const AT_ONCE = 64;
const HEADER = 4096;

export interface ReplayOptions {
  readonly path: string | undefined;
  readonly preset: ChunkPreset;
  readonly workload: WorkloadOptions;
  readonly budget: number;
  readonly signal: AbortSignal;
  readonly announce: (text: string) => Promise<void>;
}

export interface ReplayResult {
  readonly parent: string;
  readonly needs: Needs;
  readonly rows: readonly Row[];
  readonly replay: NonNullable<Report['replay']>;
  readonly notes: readonly string[];
}

interface Served {
  readonly second: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly lookupMs: number;
  readonly retrieveMs: number;
}

export async function runReplay(options: ReplayOptions): Promise<ReplayResult> {
  const { preset, workload } = options;
  const parent = options.path ?? tmpdir();
  const chunks = Math.ceil(mostTokens(workload) / preset.chunkTokens) + workload.users;
  const needs: Needs = {
    diskBytes: chunks * (preset.chunkBytes + HEADER),
    memoryBytes: AT_ONCE * (preset.chunkBytes + 65_536) + 8 * mostTokens(workload),
    files: chunks + 12_000,
  };
  await requireRoom(parent, needs);
  await options.announce(
    `${workload.users * workload.turns} requests: at most ${Math.ceil(needs.diskBytes / 2 ** 20)} MiB below ${parent} and ` +
      `${Math.ceil(needs.memoryBytes / 2 ** 20)} MiB of memory, no new request after ${options.budget} s; all is removed at the end\n`,
  );
  return inWorkspace(parent, async (directory) => {
    const mib = Math.ceil((AT_ONCE * Math.ceil(preset.chunkBytes / 65_536) * 65_536) / 2 ** 20);
    const config = await loadConfig({
      overrides: {
        weka_path: join(directory, 'replay'),
        chunk_size: preset.chunkTokens,
        cufile_buffer_size: mib,
        min_retrieve_tokens: 0,
        use_layerwise: false,
        save_unfull_chunk: false,
      },
    });
    await using engine = await KVCacheEngine.open(config, preset.model);
    return { parent, needs, ...(await serveAll(engine, options)) };
  });
}

async function serveAll(
  engine: KVCacheEngine,
  { preset, workload, budget, signal }: ReplayOptions,
): Promise<Omit<ReplayResult, 'parent' | 'needs'>> {
  const slots = await engine.lease(AT_ONCE);
  const total = workload.users * workload.turns;
  const progress = new Progress('replay', total);
  const latency = { lookup: new Latencies(), retrieve: new Latencies(), store: new Latencies() };
  const served: Served[] = [];
  const began = performance.now();
  /** Moves chunks [from, to) of a prompt, as many at a time as there are slots. */
  const move = async (tokens: Uint32Array, from: number, to: number, what: 'retrieve' | 'store') => {
    for (let at = from; at < to; at += AT_ONCE) {
      const end = Math.min(at + AT_ONCE, to);
      const options = { skipTokens: at * preset.chunkTokens, signal };
      const part = tokens.subarray(0, end * preset.chunkTokens);
      const here = slots.slice(0, end - at);
      if (what === 'retrieve') requireAll('hit', (await engine.retrieve(part, here, options)).chunks);
      else await engine.store(part, here, options);
    }
  };
  try {
    for (const { tokens } of requestsOf(workload)) {
      signal.throwIfAborted();
      if (performance.now() - began > budget * 1000) break;
      const whole = Math.floor(tokens.length / preset.chunkTokens);
      const start = performance.now();
      const cachedTokens = await latency.lookup.time(() => engine.lookup(tokens, { signal }));
      const found = performance.now();
      const cached = cachedTokens / preset.chunkTokens;
      if (cached > 0) await latency.retrieve.time(() => move(tokens, 0, cached, 'retrieve'));
      const ready = performance.now();
      if (cached < whole) await latency.store.time(() => move(tokens, cached, whole, 'store'));
      served.push({
        second: (start - began) / 1000,
        promptTokens: tokens.length,
        cachedTokens,
        lookupMs: found - start,
        retrieveMs: ready - found,
      });
      progress.advance(1);
    }
  } finally {
    progress.end();
  }
  const seconds = (performance.now() - began) / 1000;
  const { hits, unverified } = engine.stats();
  const sum = (pick: (one: Served) => number) => served.reduce((all, one) => all + pick(one), 0);
  const saved = sum((one) => one.cachedTokens) * bytesPerToken(preset);
  const rows = (['lookup', 'retrieve', 'store'] as const).map((operation): Row => {
    const read = latency[operation].read();
    const values = [read.p50 / 1000];
    return {
      id: `${operation}/kv-offload/replay/${preset.name}/seed ${workload.seed}`,
      operation,
      by: 'kv-offload',
      chunk: `${preset.name}, replay`,
      chunkBytes: preset.chunkBytes,
      chunks: read.count,
      threads: engine.config.ioThreads,
      depth: AT_ONCE,
      io: engine.config.useDirectIo ? 'direct' : 'buffered',
      sums: engine.config.checksums,
      transport: operation === 'lookup' ? 'none' : engine.transport.kind,
      cache: operation === 'store' ? 'none' : 'warm',
      unit: 'ms',
      values,
      median: values[0] ?? NaN,
      least: values[0] ?? NaN,
      greatest: values[0] ?? NaN,
      latency: read,
      details: { requests: read.count },
    };
  });
  const notes = [
    'replay: latency is of one request’s whole lookup, retrieve or store, one request at a time, not of a chunk',
    ...(served.length < total
      ? [
          `${total - served.length} of ${total} requests were left out: the ${budget} s were over; give more with --seconds`,
        ]
      : []),
  ];
  return {
    rows: rows.filter((row) => row.chunks > 0),
    notes,
    replay: {
      workload: { ...workload },
      requests: served.length,
      seconds,
      hitRate: sum((one) => one.cachedTokens) / sum((one) => one.promptTokens),
      bytesSaved: saved,
      verifiedChunks: hits - unverified,
      timeline: timelineOf(served, seconds, preset),
    },
  };
}

function timelineOf(served: readonly Served[], seconds: number, preset: ChunkPreset) {
  return Array.from({ length: BUCKETS }, (_, bucket) => {
    const [from, to] = [bucket, bucket + 1].map((edge) => (edge / BUCKETS) * seconds);
    const here = served.filter(({ second }) => second >= (from ?? 0) && second < (to ?? 0));
    const mean = (pick: (one: Served) => number) => here.reduce((all, one) => all + pick(one), 0) / here.length;
    const cached = here.reduce((all, one) => all + one.cachedTokens, 0);
    return {
      second: to ?? 0,
      requests: here.length,
      hitRate: cached / here.reduce((all, one) => all + one.promptTokens, 0),
      bytesSaved: cached * bytesPerToken(preset),
      lookupMs: mean((one) => one.lookupMs),
      retrieveMs: mean((one) => one.retrieveMs),
    };
  }).filter(({ requests }) => requests > 0);
}
