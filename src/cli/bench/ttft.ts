/** A model of the time to first token, with the cache and without. It adds measured times up, and claims no more. */
import { KVOffloadError } from '../../errors.js';
import { type ChunkPreset, bytesPerToken } from './presets.js';
import type { Report, Row } from './schema.js';

export interface TtftOptions {
  readonly preset: ChunkPreset;
  readonly promptTokens: number;
  /** Part of the prompt that is cached, 0 to 1; whole chunks of it are used. */
  readonly hitRatio: number;
  /** Tokens a second that the model's prefill computes. */
  readonly prefillRate: number;
}

export interface Ttft {
  readonly cachedTokens: number;
  readonly computedTokens: number;
  readonly loadedBytes: number;
  readonly milliseconds: {
    readonly lookup: number;
    readonly load: number;
    readonly prefill: number;
    readonly withCache: number;
    readonly withoutCache: number;
  };
  /** Without over with. */
  readonly speedup: number;
  /** The prefill rate above which loading a chunk takes longer than computing it. */
  readonly breakEvenRate: number;
  /** Rows of the report that the times are from. */
  readonly from: readonly string[];
  readonly assumptions: readonly string[];
}

/** @throws KVOffloadError `KVO_ARGUMENT_INVALID` where the report has no row to go by */
export function modelTtft(report: Report, options: TtftOptions): Ttft {
  const { preset, promptTokens, hitRatio, prefillRate } = options;
  const load = loadRow(report, preset);
  const lookup = report.rows.find((row) => row.by === 'kv-offload' && row.operation === 'lookup' && row.unit === 'ms');
  if (load === undefined || lookup === undefined) {
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      'the report has no retrieve and lookup rows of kv-offload; measure them with kv-offload bench --operations retrieve,lookup',
    );
  }
  const cachedTokens = Math.floor((promptTokens * hitRatio) / preset.chunkTokens) * preset.chunkTokens;
  const computedTokens = promptTokens - cachedTokens;
  const loadedBytes = cachedTokens * bytesPerToken(preset);
  const perChunkMs = lookup.median / lookup.chunks;
  const lookupMs = perChunkMs * Math.ceil(promptTokens / preset.chunkTokens);
  const loadMs = (loadedBytes / (load.median * 1e9)) * 1000;
  const prefill = (computedTokens / prefillRate) * 1000;
  const withoutCache = (promptTokens / prefillRate) * 1000;
  const withCache = lookupMs + loadMs + prefill;
  return {
    cachedTokens,
    computedTokens,
    loadedBytes,
    milliseconds: { lookup: lookupMs, load: loadMs, prefill, withCache, withoutCache },
    speedup: withoutCache / withCache,
    breakEvenRate: (load.median * 1e9) / bytesPerToken(preset),
    from: [lookup.id, load.id],
    assumptions: assumptionsOf(report, load, options),
  };
}

/** The row of this very preset, else of the chunk size nearest to it; cold before warm, since a cache hit is seldom fresh. */
function loadRow(report: Report, preset: ChunkPreset): Row | undefined {
  const far = (row: Row) => Math.abs(Math.log(row.chunkBytes / preset.chunkBytes));
  const kind = (row: Row) => ['cold', 'bypassed', 'warm', 'none'].indexOf(row.cache);
  return report.rows
    .filter((row) => row.by === 'kv-offload' && row.operation === 'retrieve' && row.unit === 'GB/s')
    .sort((a, b) => far(a) - far(b) || kind(a) - kind(b) || b.median - a.median)[0];
}

function assumptionsOf(report: Report, load: Row, options: TtftOptions): string[] {
  const { preset, prefillRate, hitRatio } = options;
  const size =
    load.chunkBytes === preset.chunkBytes ? '' : `, though chunks of ${preset.name} have ${preset.chunkBytes} bytes`;
  return [
    `prefill computes ${prefillRate} tokens/s, as you stated, however long the prompt is (attention makes long ones slower: then the cache saves more)`,
    `${Math.round(hitRatio * 100)}% of the prompt is cached, as you stated, and its start: whole chunks of ${preset.chunkTokens} tokens of ${bytesPerToken(preset)} bytes each are loaded`,
    `chunks load at ${load.median.toFixed(2)} GB/s, the median of ${load.values.length} repeats of ${load.chunkBytes} bytes (${load.cache}${size})`,
    `the lookup takes its measured time a chunk, hashing included`,
    load.transport === 'host'
      ? 'bytes end in host memory: the copy to the GPU is not in it'
      : `bytes move by ${load.transport}, into GPU memory`,
    'one request at a time; lookup, load and prefill follow each other, nothing overlaps',
    'all tensor-parallel ranks load as fast as this one, at once, and the storage gives each its full rate',
    'queueing, scheduling, tokenising and the first decode step take the same with the cache and without, and are left out',
    `measured on ${report.machine.cpu}, ${report.filesystem.type}; nothing is said of other machines`,
  ];
}
