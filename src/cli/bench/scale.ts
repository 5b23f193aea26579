/** A directory of many chunks, and many processes on one directory. */
import { closeSync, ftruncateSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { HEADER_BYTES } from '../../layout/index.js';
import { Progress } from '../progress.js';
import { ask, startChild } from './child.js';
import { emptied } from './contenders.js';
import { presetOf } from './presets.js';
import { type Opened, SCALE_BYTES, SCALE_CHUNKS, type Task, openScaleEngine, scaleTokens } from './scale-child.js';
import type { Row } from './schema.js';
import { spreadOf } from './statistics.js';
import { type Needs, inWorkspace, requireRoom } from './workspace.js';

const CHILD = 'scale-child';
/** What the kernel keeps of a file without content: an inode and a name. */
const KERNEL_BYTES_A_FILE = 1300;
const DIRECTORIES = 12_000;

export interface ScaleOptions {
  readonly path: string | undefined;
  /** Chunks in the directory. */
  readonly files: number;
  readonly processes: readonly number[];
  readonly chunk: string;
  /** Bytes that all processes together move a run. */
  readonly footprint: number;
  readonly threads: number;
  readonly repeats: number;
  readonly signal: AbortSignal;
  readonly announce: (text: string) => Promise<void>;
}

export interface ScaleResult {
  readonly parent: string;
  readonly needs: Needs;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
}

export async function runScale(options: ScaleOptions): Promise<ScaleResult> {
  const parent = options.path ?? tmpdir();
  const prompts = Math.ceil(options.files / SCALE_CHUNKS);
  const files = prompts * SCALE_CHUNKS;
  const needs: Needs = {
    diskBytes: Math.max(options.footprint * (options.repeats + 1), DIRECTORIES * 8192),
    memoryBytes: 2 * options.footprint + files * KERNEL_BYTES_A_FILE,
    files: files + DIRECTORIES,
  };
  await requireRoom(parent, needs);
  await options.announce(
    `${files.toLocaleString('en')} files without content, then ${options.processes.join(', ')} processes: at most ` +
      `${Math.ceil(needs.diskBytes / 2 ** 20)} MiB below ${parent} and ${Math.ceil(needs.memoryBytes / 2 ** 20)} MiB of memory, ` +
      `some ${Math.ceil((files / 1e6) * 40 + options.processes.length * 4)} s; all is removed at the end\n`,
  );
  const rows = await inWorkspace(parent, async (directory) => [
    ...(options.files > 0 ? await manyFiles(directory, prompts, options) : []),
    ...(await manyProcesses(directory, options)),
  ]);
  const notes = [
    'the many files have names and sizes, and no content: open and lookup look at nothing else',
    'processes retrieve what their neighbour stored; each has a pool of threads of its own',
  ];
  return { parent, needs, rows, notes };
}

async function manyFiles(directory: string, prompts: number, options: ScaleOptions): Promise<Row[]> {
  const cache = join(directory, 'many');
  const engine = await openScaleEngine(cache);
  const progress = new Progress('files', 2 * prompts);
  const made = new Set<string>();
  const forEachPrompt = async (work: (paths: readonly string[]) => void) => {
    for (let prompt = 0; prompt < prompts; prompt++) {
      work(engine.prepare(scaleTokens(prompt)).sets[0]?.paths(0) ?? []);
      progress.advance(1);
      await setImmediate();
    }
  };
  try {
    await forEachPrompt((paths) => {
      options.signal.throwIfAborted();
      for (const path of paths) makeFile(path, made);
    });
    const child = startChild(CHILD);
    let opened: Opened;
    try {
      const empty = join(directory, 'empty');
      opened = (await ask(child, {
        task: 'open',
        directory: cache,
        empty,
        prompts,
        repeats: options.repeats,
      })) as Opened;
    } finally {
      child.kill();
    }
    return openRows(opened, prompts * SCALE_CHUNKS, options.threads);
  } finally {
    // By name: walking a million entries takes Node several times as long.
    await forEachPrompt((paths) => {
      for (const path of paths) removeFile(path);
    });
    progress.end();
    await engine.close();
  }
}

function makeFile(path: string, made: Set<string>): void {
  const folder = dirname(path);
  if (!made.has(folder)) {
    mkdirSync(folder, { recursive: true });
    made.add(folder);
  }
  const file = openSync(path, 'w');
  ftruncateSync(file, HEADER_BYTES + SCALE_BYTES);
  closeSync(file);
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Never made, since the run was interrupted.
  }
}

function openRows(opened: Opened, files: number, threads: number): Row[] {
  const row = (operation: 'open' | 'lookup', values: readonly number[], details: NonNullable<Row['details']>): Row => ({
    id: `${operation}/kv-offload/${files} files`,
    operation,
    by: 'kv-offload',
    chunk: `${files} files`,
    chunkBytes: SCALE_BYTES,
    chunks: operation === 'open' ? files : SCALE_CHUNKS,
    threads,
    depth: SCALE_CHUNKS,
    io: 'none',
    sums: false,
    transport: 'none',
    cache: 'warm',
    unit: 'ms',
    values: [...values],
    ...spreadOf(values),
    details,
  });
  return [
    row('open', opened.openMs, { files, memoryMiB: opened.openMiB }),
    row('lookup', opened.lookupMs, { files, hashingMs: opened.hashingMs }),
  ];
}

async function manyProcesses(directory: string, options: ScaleOptions): Promise<Row[]> {
  const preset = presetOf(options.chunk);
  const most = Math.max(...options.processes);
  const progress = new Progress('processes', options.processes.length * (options.repeats + 1));
  const rows: Row[] = [];
  try {
    for (const processes of options.processes) {
      const chunks = Math.max(1, Math.floor(options.footprint / preset.chunkBytes / most));
      const cache = join(directory, 'shared');
      emptied(cache);
      const children = Array.from({ length: processes }, () => startChild(CHILD));
      const all = (task: (index: number) => Task) => Promise.all(children.map((child, i) => ask(child, task(i))));
      try {
        await all(() => ({ task: 'begin', directory: cache, chunk: options.chunk, chunks, threads: options.threads }));
        const rates: Record<'store' | 'retrieve', number[]> = { store: [], retrieve: [] };
        for (let round = 0; round <= options.repeats; round++) {
          options.signal.throwIfAborted();
          for (const [task, shift] of [['store', 0] as const, ['retrieve', 1] as const]) {
            const began = performance.now();
            await all((i) => ({ task, of: (i + shift) % processes, round }));
            const seconds = (performance.now() - began) / 1000;
            // The first round warms up.
            if (round > 0) rates[task].push((processes * chunks * preset.chunkBytes) / seconds / 1e9);
          }
          progress.advance(1);
        }
        await all(() => ({ task: 'end' }));
        for (const operation of ['store', 'retrieve'] as const) {
          rows.push(processRow(operation, rates[operation], processes, chunks, options));
        }
      } finally {
        for (const child of children) child.kill();
      }
    }
  } finally {
    progress.end();
  }
  return rows;
}

function processRow(
  operation: 'store' | 'retrieve',
  values: readonly number[],
  processes: number,
  chunks: number,
  { chunk, threads }: ScaleOptions,
): Row {
  const preset = presetOf(chunk);
  return {
    id: `${operation}/kv-offload/${preset.name}/x${chunks}/t${threads}/p${processes}`,
    operation,
    by: 'kv-offload',
    chunk: preset.name,
    chunkBytes: preset.chunkBytes,
    chunks,
    threads,
    depth: chunks,
    io: 'buffered',
    sums: true,
    transport: 'host',
    cache: operation === 'store' ? 'none' : 'warm',
    unit: 'GB/s',
    values: [...values],
    ...spreadOf(values),
    details: { processes },
  };
}
