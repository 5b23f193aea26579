/** Lookup of a prompt of 512 chunks of which 511 are there, hashing included; against `stat` of the same paths. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../config/index.js';
import { KVOffloadError } from '../../errors.js';
import { KVCacheEngine } from '../../store/engine.js';
import { dataFilesBelow, emptied } from './contenders.js';
import { timed } from './timing.js';
import { PlainIo } from './plain-io.js';
import type { Row } from './schema.js';
import { ratioOf, spreadOf } from './statistics.js';

const CHUNKS = 512;
const PRESENT = CHUNKS - 1;
const TOKENS = 256;
/** Small: lookup sees names and sizes alone. */
const CHUNK_BYTES = 1024;
const MODEL = { modelName: 'bench-lookup', kvDtype: 'uint8', useMla: true, kvShape: [1, 1, TOKENS, 1, 4] as const };
const REPEATS_EACH = 4;

export interface LookupOptions {
  readonly directory: string;
  readonly threads: number;
  readonly repeats: number;
  readonly plainIo: string | undefined;
  readonly signal: AbortSignal;
}

/** Files that {@link measureLookup} makes. */
export const LOOKUP_FILES = 2 * CHUNKS;

export async function measureLookup(options: LookupOptions): Promise<Row[]> {
  const { directory, threads, signal } = options;
  const config = await loadConfig({
    overrides: {
      weka_path: directory,
      chunk_size: TOKENS,
      cufile_buffer_size: 1,
      min_retrieve_tokens: 0,
      use_layerwise: false,
      // Lookup moves no bytes, wherever chunks lie.
      extra_config: { disk_io_threads: threads, kv_offload: { device: 'cpu', require_gds: false } },
    },
  });
  const engine = await KVCacheEngine.open(config, MODEL);
  let plain: PlainIo | undefined;
  try {
    const tokens = Uint32Array.from({ length: CHUNKS * TOKENS }, (_, i) => (i * 2654435761) % 128_256);
    const chunk = new Uint8Array(CHUNK_BYTES);
    await engine.store(tokens, new Array<Uint8Array>(PRESENT).fill(chunk), { signal });
    const list = join(directory, 'paths');
    const paths = dataFilesBelow(directory);
    writeFileSync(list, paths.join('\n'));
    if (options.plainIo !== undefined)
      plain = new PlainIo(options.plainIo, { files: 1, bytes: 4096, threads, block: 4096 });

    const [whole, hashing, prepared, stat]: [number[], number[], number[], number[]] = [[], [], [], []];
    const look = async (prompt: Parameters<KVCacheEngine['lookup']>[0]) => {
      const found = await engine.lookup(prompt, { signal });
      if (found === PRESENT * TOKENS) return;
      throw new KVOffloadError('KVO_IO', `lookup found ${found} of ${PRESENT * TOKENS} tokens that were stored`);
    };
    const ready = engine.prepare(tokens);
    // The shortest of a few: what else this machine does would only add.
    for (let repeat = -1; repeat < options.repeats * REPEATS_EACH; repeat++) {
      const times = [
        await timed(() => look(tokens)),
        await timed(() => engine.prepare(tokens)),
        await timed(() => look(ready)),
        plain === undefined ? NaN : await plain.run(`stat ${list}`),
      ];
      if (repeat < 0) continue;
      for (const [i, values] of [whole, hashing, prepared, stat].entries()) values.push((times[i] ?? NaN) * 1000);
    }
    const row = (by: Row['by'], what: string, values: number[]): Row => ({
      id: `lookup/${by}/${what}/x${CHUNKS}/t${threads}`,
      operation: 'lookup',
      by,
      chunk: `${PRESENT} of ${CHUNKS}, ${what}`,
      chunkBytes: CHUNK_BYTES,
      chunks: CHUNKS,
      threads,
      depth: CHUNKS,
      io: 'none',
      sums: false,
      transport: 'none',
      cache: 'warm',
      unit: 'ms',
      values,
      ...spreadOf(values),
    });
    const hashShare = spreadOf(hashing).median / spreadOf(whole).median;
    return [
      {
        ...row('kv-offload', 'from tokens', whole),
        details: {
          algorithm: config.preCachingHashAlgorithm,
          hashingMs: spreadOf(hashing).median,
          hashingShare: hashShare,
        },
      },
      {
        ...row('kv-offload', 'prepared', prepared),
        ...(plain !== undefined && { ratios: { 'plain-cpp': ratioOf(prepared, stat) } }),
      },
      ...(plain === undefined ? [] : [row('plain-cpp', 'stat alone', stat)]),
    ];
  } finally {
    plain?.close();
    await engine.close();
    emptied(directory);
  }
}
