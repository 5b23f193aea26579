/** What an operation costs above its system calls: 256 chunks of 64 bytes against the same calls in plain C++. */
import { mkdirSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KVCacheEngine, loadConfig } from 'kv-offload';
import { PlainIo } from '../src/cli/bench/plain-io.js';
import { type Figure, excessFigure, inPairs, seconds } from './pairs.js';

const BATCH = 256;
const BYTES = 64;
const MODEL = { modelName: 'bench', kvDtype: 'bfloat16', kvShape: [1, 2, 2, 1, 8] as const };
/** Calls a measurement of what changes nothing: one would be a millisecond. */
const ROUNDS = 20;

export async function benchOverhead(
  directory: string,
  threads: number,
  pairs: number,
  plainIo: string,
): Promise<Figure[]> {
  const base = join(directory, 'overhead');
  const overrides = {
    weka_path: base,
    chunk_size: 2,
    cufile_buffer_size: 32,
    extra_config: { disk_io_threads: threads, kv_offload: { checksums: false } },
  };
  await using engine = await KVCacheEngine.open(await loadConfig({ env: {}, overrides }), MODEL);
  const slots = await engine.lease(BATCH);
  const prompt = engine.prepare(Uint32Array.from({ length: 2 * BATCH }, (_, i) => i));
  const plain = new PlainIo(plainIo, { files: BATCH, bytes: BYTES, threads, block: BYTES });
  const perChunk = 1e6 / BATCH;
  try {
    const stored = async () => {
      const { present } = await engine.store(prompt, slots);
      if (present !== BATCH) throw new Error(`only ${present} of ${BATCH} chunks were stored`);
    };
    await stored();
    const paths = filesOf(base);
    const list = join(directory, 'overhead-paths');
    writeFileSync(list, paths.join('\n'));
    // Directories stay: both sides find them made.
    const copies = paths.map((path) => join(directory, 'overhead-plain', path.slice(base.length)));
    for (const path of copies) mkdirSync(dirname(path), { recursive: true });
    const copyList = join(directory, 'overhead-copies');
    writeFileSync(copyList, copies.join('\n'));

    const repeated = (call: () => Promise<void>) => async () => {
      const time = await seconds(async () => {
        for (let round = 0; round < ROUNDS; round++) await call();
      });
      return (time / ROUNDS) * perChunk;
    };
    const lookup = repeated(async () => {
      if ((await engine.lookup(prompt)) !== prompt.length) throw new Error('a chunk was not found');
    });
    const retrieve = repeated(async () => {
      if ((await engine.retrieve(prompt, slots)).tokens !== prompt.length) throw new Error('a chunk was no hit');
    });
    const store = async () => {
      removeAll(paths);
      return perChunk * (await seconds(stored));
    };
    const publish = async () => {
      removeAll(copies);
      return perChunk * (await plain.run(`publish ${copyList}`));
    };
    const command = (words: string) => async () => perChunk * (await plain.run(words));
    const batch = `of a chunk in a batch of ${BATCH} × ${BYTES} bytes, ${threads} threads`;
    return [
      excessFigure(`lookup ${batch}`, await inPairs(lookup, command(`stats ${list}`), pairs), 'stat', 'µs', {
        most: 2,
      }),
      excessFigure(
        `retrieve ${batch}`,
        await inPairs(retrieve, command(`kept ${list}`), pairs),
        'fstat and preadv',
        'µs',
        { most: 5 },
      ),
      excessFigure(`store ${batch}`, await inPairs(store, publish, pairs), 'the same nine calls', 'µs', { most: 5 }),
    ];
  } finally {
    plain.close();
    rmSync(base, { recursive: true });
  }
}

function filesOf(base: string): string[] {
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.metadata'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) {
    for (const name of [path, `${path}.metadata`]) {
      try {
        unlinkSync(name);
      } catch {
        // The first time there is none.
      }
    }
  }
}
