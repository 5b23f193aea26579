/** Store and retrieve of large chunks against plain loops of pwrite and pread: same threads, block, footprint, new files. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { KVCacheEngine, loadConfig } from 'kv-offload';
import { type Row, compare, seconds } from './pairs.js';
import { PlainIo } from './plain.js';

const MIB = 2 ** 20;

export interface IoOptions {
  readonly directory: string;
  readonly threads: number;
  readonly pairs: number;
  /** Bytes moved a run. */
  readonly total: number;
}

/** A model whose chunks of 256 tokens have `bytes` bytes, a multiple of 1 MiB. */
export function modelOf(bytes: number) {
  return { modelName: 'bench', kvDtype: 'bfloat16', kvShape: [bytes / MIB, 2, 256, 8, 128] as const };
}

export async function benchIo(options: IoOptions, chunkBytes: number): Promise<Row[]> {
  const { directory, threads, pairs } = options;
  const files = Math.max(1, Math.floor(options.total / chunkBytes));
  const block = 4 * MIB;
  const plain = new PlainIo({ files, bytes: chunkBytes, threads, block });
  const plainDirectory = join(directory, 'plain');
  const rows: Row[] = [];
  try {
    for (const checksums of [false, true]) {
      const base = join(directory, `ours-${checksums ? 'sums' : 'plain'}`);
      await using engine = await openEngine(base, chunkBytes, files, threads, checksums);
      const slots = await engine.lease(files);
      for (const [i, slot] of slots.entries()) slot.bytes.fill(i + 1);
      const prompt = engine.prepare(Uint32Array.from({ length: files * 256 }, (_, i) => i));
      const name = `${chunkBytes / MIB} MiB × ${files}, ${threads} threads, sums ${checksums ? 'on' : 'off'}`;
      const rate = (time: number) => (files * chunkBytes) / time / 1e9;
      const row = (what: string, against: string) => ({
        name: `${what} ${name}`,
        against,
        unit: 'GB/s',
        ...(!checksums && { target: '≥ 0.9' }),
      });
      const store = async () => {
        emptied(base);
        const time = await seconds(async () => {
          const { present } = await engine.store(prompt, slots);
          if (present !== files) throw new Error(`only ${present} of ${files} chunks were stored`);
        });
        return rate(time);
      };
      const plainStore = async () => {
        emptied(plainDirectory);
        return rate(await plain.run(`store ${plainDirectory}`));
      };
      rows.push(await compare(row('store', 'plain pwrite'), store, plainStore, pairs));
      const retrieve = async () => {
        const time = await seconds(async () => {
          const { tokens } = await engine.retrieve(prompt, slots);
          if (tokens !== prompt.length) throw new Error(`only ${tokens} of ${prompt.length} tokens were retrieved`);
        });
        return rate(time);
      };
      const plainLoad = async () => rate(await plain.run(`load ${plainDirectory}`));
      rows.push(await compare(row('retrieve', 'plain pread'), retrieve, plainLoad, pairs));
      for (const [i, slot] of slots.entries()) {
        if (!slot.bytes.every((byte) => byte === ((i + 1) & 255))) throw new Error('a retrieved byte is wrong');
      }
      rmSync(base, { recursive: true });
      rmSync(plainDirectory, { recursive: true });
    }
  } finally {
    plain.close();
  }
  return rows;
}

async function openEngine(base: string, bytes: number, slots: number, threads: number, checksums: boolean) {
  const config = await loadConfig({
    env: {},
    overrides: {
      weka_path: base,
      cufile_buffer_size: Math.ceil((bytes * slots) / MIB),
      extra_config: { disk_io_threads: threads, kv_offload: { checksums } },
    },
  });
  return KVCacheEngine.open(config, modelOf(bytes));
}

/** Both sides write new files into an empty directory, and neither pays for removing the old ones. */
function emptied(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}
