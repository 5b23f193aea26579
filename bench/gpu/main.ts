/**
 * Every GPU figure of docs/benchmarks.md in one run: `npm run bench:gpu [-- --directories DIR,DIR --peers PYTHON --only WORDS …]`.
 *
 * Ceiling, plain C++, peers and ours on one GPU. Needs about 12 GiB of its memory, and 16 GiB free in each directory.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findMount } from 'kv-offload';
import { PEERS } from '../../src/cli/bench/gpu-peers.js';
import { PlainGpu } from '../../src/cli/bench/plain-gpu.js';
import { batchCostLine, benchJavaScript, type BatchCost } from './javascript.js';
import { benchMoves, type Shape } from './moves.js';
import { benchPeer } from './peers.js';
import { type Row, line, targetLine } from './rows.js';
import { targets } from './targets.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

const { values } = parseArgs({
  options: {
    directories: { type: 'string', default: `${tmpdir()},/dev/shm` },
    /** whole, paged, sums, gds, javascript, peers */
    only: { type: 'string', default: 'whole,paged,sums,gds,javascript,peers' },
    sizes: { type: 'string', default: '32768,10240,1024,256' },
    threads: { type: 'string', default: '8,16' },
    runs: { type: 'string', default: '5' },
    peers: { type: 'string', default: 'python3' },
    gib: { type: 'string', default: '4' },
    /** What has not begun by then is left out, aloud. */
    seconds: { type: 'string', default: '3600' },
    json: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const list = (text: string) => text.split(',').filter((word) => word !== '');
  const only = new Set(list(values.only));
  const sizes = list(values.sizes).map((kib) => Number(kib) * KIB);
  const threads = list(values.threads).map(Number);
  const runs = Number(values.runs);
  const total = Number(values.gib) * GIB;
  const rows: Row[] = [];
  const costs: BatchCost[] = [];
  const notes: string[] = [];
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const add = (more: readonly Row[]) => {
    for (const row of more) say(line(row));
    rows.push(...more);
  };
  const note = (text: string) => {
    notes.push(text);
    say(text);
  };
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
  say(machine);

  const plain = new PlainGpu({
    program: process.env['KV_OFFLOAD_PLAIN_GPU'] ?? '.cmake/core/plain_gpu',
    libcuda: process.env['KV_OFFLOAD_LIBCUDA_PATH'],
    aloud: true,
  });
  const folders = list(values.directories).map((directory) => {
    mkdirSync(directory, { recursive: true });
    const folder = mkdtempSync(join(directory, 'kv-offload-gpu-'));
    return { directory: folder, on: findMount(folder).type };
  });
  /** A failure is said, counted and passed: the rest of an hour's figures is not lost to it. */
  const attempt = async (what: string, work: () => Promise<void>) => {
    if (performance.now() > Number(values.seconds) * 1000) {
      note(`SKIPPED ${what}: no time is left`);
      return;
    }
    try {
      await work();
    } catch (error) {
      process.exitCode = 1;
      note(`FAILED ${what}: ${described(error)}`);
    }
  };
  const moves = async (shape: Shape) => {
    const what = `${shape.on}, ${shape.chunkBytes / KIB} KiB, ${shape.threads} threads`;
    await attempt(what, async () => add(await benchMoves(plain, shape, runs)));
  };
  const countOf = (bytes: number) => Math.floor((bytes < MIB ? total / 4 : total) / bytes);
  const largest = Math.max(...sizes);
  try {
    const { toDevice, toHost } = await plain.ceiling();
    say(`ceiling, pinned copies of 256 MiB: ${toDevice.toFixed(1)} GB/s to the device, ${toHost.toFixed(1)} back`);
    for (const folder of folders) {
      if (only.has('whole')) {
        for (const chunkBytes of sizes) {
          for (const count of threads)
            await moves({ ...folder, chunkBytes, chunks: countOf(chunkBytes), threads: count });
        }
      }
      const one = { ...folder, chunkBytes: largest, chunks: countOf(largest), threads: Math.max(...threads) };
      if (only.has('paged')) for (const segment of [64, 16, 2]) await moves({ ...one, segment: segment * KIB });
      if (only.has('sums')) await moves({ ...one, checksums: true });
      if (only.has('gds')) {
        // tmpfs files can't be registered; elsewhere the reason is the library's.
        if (folder.on === 'tmpfs') note('SKIPPED gds on tmpfs: cuFile registers no files of tmpfs');
        else await moves({ ...one, transport: 'gds' });
      }
      if (only.has('javascript')) {
        await attempt('one-byte chunks', async () => {
          const more = await benchJavaScript(folder.directory, 4096, Math.max(...threads), runs);
          for (const batch of more) say(`${folder.on}: ${batchCostLine(batch)}`);
          costs.push(...more);
        });
      }
    }
    // LMCache's gds and NIXL cannot register files of tmpfs.
    const disk = folders.find(({ on }) => on !== 'tmpfs');
    if (only.has('peers') && disk) {
      for (const bytes of sizes.filter((size) => size === 32 * MIB || size === MIB)) {
        const files = Math.floor(Math.min(total, bytes < 8 * MIB ? GIB : total) / bytes);
        const shape = { ...disk, chunkBytes: bytes, chunks: files };
        for (const peer of PEERS) {
          await attempt(peer.peer, () => benchPeer(values.peers, peer, shape, runs, toDevice, add, note));
        }
      }
    }
  } finally {
    plain.close();
    for (const { directory } of folders) rmSync(directory, { recursive: true, force: true });
  }
  const reached = targets(rows);
  say('');
  for (const target of reached) say(targetLine(target));
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ machine, rows, costs, targets: reached, notes }, null, 2)}\n`);
  }
}

function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${described(error.cause)}`;
}

void main();
