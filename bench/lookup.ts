/** Lookups of chunks that exist against the stat calls alone, and their listing against reading entries and headers. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KVCacheEngine, loadConfig } from 'kv-offload';
import { PlainIo } from '../src/cli/bench/plain-io.js';
import { type Figure, inPairs, ratioFigure, seconds } from './pairs.js';

/** Chunks of 2 tokens × 1 layer × 1 head × 16 × 2 bytes × 2: small files, so that many fit. */
const MODEL = { modelName: 'bench', kvDtype: 'bfloat16', kvShape: [1, 2, 2, 1, 16] as const };
const BATCH = 512;

export async function benchLookup(
  directory: string,
  threads: number,
  pairs: number,
  chunks: number,
  plainIo: string,
): Promise<Figure[]> {
  const base = join(directory, 'lookup');
  mkdirSync(base, { recursive: true });
  const overrides = {
    weka_path: base,
    chunk_size: 2,
    cufile_buffer_size: 64,
    extra_config: { disk_io_threads: threads },
  };
  await using engine = await KVCacheEngine.open(await loadConfig({ env: {}, overrides }), MODEL);
  const bytes = new Uint8Array(1 * 2 * 2 * 16 * 2);
  const prompts = Array.from({ length: Math.ceil(chunks / BATCH) }, (_, i) =>
    engine.prepare(Uint32Array.from({ length: BATCH * 2 }, (_token, at) => i * BATCH * 2 + at)),
  );
  for (const prompt of prompts) await engine.store(prompt, new Array<Uint8Array>(BATCH).fill(bytes));
  const paths: string[] = [];
  for await (const chunk of engine.listChunks()) paths.push(chunk.path);
  const pathList = join(directory, 'paths.txt');
  writeFileSync(pathList, paths.join('\n'));

  const plain = new PlainIo(plainIo, { files: 1, bytes: 4096, threads, block: 4096 });
  const perChunk = 1e6 / (prompts.length * BATCH);
  const ours = async () =>
    perChunk *
    (await seconds(async () => {
      for (const prompt of prompts) {
        if ((await engine.lookup(prompt)) !== prompt.length) throw new Error('a chunk was not found');
      }
    }));
  const name = `lookup of ${prompts.length * BATCH} chunks in batches of ${BATCH}, ${threads} threads`;
  try {
    const stat = async () => perChunk * (await plain.run(`stat ${pathList}`));
    const looked = ratioFigure(name, await inPairs(ours, stat, pairs), 'stat alone', 'µs a chunk', { most: 1.5 });
    const list = async () =>
      perChunk *
      (await seconds(async () => {
        let listed = 0;
        for await (const chunk of engine.listChunks()) if (chunk.problem === undefined) listed++;
        if (listed !== paths.length) throw new Error(`only ${listed} of ${paths.length} chunks were listed`);
      }));
    const headers = async () => perChunk * (await plain.run(`headers ${base}`));
    const listed = await inPairs(list, headers, Math.min(pairs, 5));
    const what = 'reading entries and headers';
    return [looked, ratioFigure(`listing of ${paths.length} chunks`, listed, what, 'µs a chunk', { most: 3 })];
  } finally {
    plain.close();
    rmSync(base, { recursive: true });
    rmSync(pathList);
  }
}
