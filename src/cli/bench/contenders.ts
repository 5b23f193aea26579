/** Who stores and retrieves the same number of files of the same size: this library, the ceiling, the peers. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ask, startChild } from './child.js';
import { BLOCK, type NodePeer, type PeerTask } from './node-peers.js';
import { PlainGpu, type PlainGpuOptions } from './plain-gpu.js';
import { PlainIo } from './plain-io.js';
import type { Row } from './schema.js';

export interface Contender {
  readonly by: Row['by'];
  /** Absent where it takes part in both. */
  readonly only?: 'store';
  /** Before each store: its directory empty, its memory filled. Nobody pays for it. */
  ready(): void;
  /** Writes all files, new ones; seconds. */
  store(): Promise<number>;
  /** Reads them all; seconds. */
  retrieve(): Promise<number>;
  /** What it has stored. */
  files(): string[];
  close(): void;
}

/** What all of them move. */
export interface Load {
  readonly directory: string;
  readonly files: number;
  readonly bytes: number;
  readonly threads: number;
  /** Files a call, of those who move them in calls as ours does: plain C++ and cuFile by itself. */
  readonly depth: number;
  readonly direct: boolean;
}

/** Everyone writes new files into an empty directory, and nobody pays for removing the old ones. */
export function emptied(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}

/** The same with directories left, as a cache that is in use has them. */
export function withoutFiles(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory()) rmSync(join(entry.parentPath, entry.name));
  }
}

/** Regular files below a directory that hold chunks. */
export function dataFilesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.metadata'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** open, pwrite or pread by blocks, close, in threads; from and into memory of its own for every file. */
export function plainCpp(program: string, load: Load): Contender {
  const { directory, files, bytes, threads, depth, direct } = load;
  const plain = new PlainIo(program, { files, bytes, threads, depth, block: Math.min(BLOCK, bytes), direct });
  return {
    by: 'plain-cpp',
    ready: () => {
      withoutFiles(directory);
    },
    store: () => plain.run(`store ${directory}`),
    retrieve: () => plain.run(`load ${directory}`),
    files: () => dataFilesBelow(directory),
    close() {
      plain.close();
    },
  };
}

/**
 * Files ↔ GPU memory in threads, with the names and links that ours makes, through pinned memory or by cuFile; a process of
 * its own. It sets old files aside by itself, and compares every byte of its first run each way.
 */
export function plainGpu(
  by: 'plain-cpp' | 'cufile',
  options: PlainGpuOptions,
  { directory, files, bytes, threads, depth, direct }: Load,
): Contender {
  const plain = new PlainGpu(options);
  const checked = new Set<string>();
  const run = async (what: 'store' | 'load') => {
    const check = !checked.has(what);
    checked.add(what);
    const moved = { directory, files, bytes, threads, depth, check };
    return (await plain.run(what, by === 'cufile' ? { ...moved, direct, via: 'cufile' } : moved)).seconds;
  };
  return {
    by,
    ready: () => undefined,
    store: () => run('store'),
    retrieve: () => run('load'),
    files: () => dataFilesBelow(directory),
    close() {
      plain.close();
    },
  };
}

/**
 * Node's own calls, in a process of their own: what they leave to the garbage collector would be paid by whoever comes
 * after them.
 */
export function nodePeer(by: NodePeer, load: Load): Contender {
  const { directory } = load;
  const child = startChild('node-peers');
  let begun: Promise<unknown> | undefined;
  const run = async (task: 'store' | 'retrieve') => {
    await (begun ??= ask(child, { task: 'begin', by, load } satisfies PeerTask));
    return (await ask(child, { task } satisfies PeerTask)) as number;
  };
  return {
    by,
    ready: () => {
      emptied(directory);
    },
    store: () => run('store'),
    retrieve: () => run('retrieve'),
    files: () => dataFilesBelow(directory),
    close() {
      child.kill();
    },
  };
}

const runProgram = promisify(execFile);

/** fio's version, or undefined where it is not installed. */
export async function fioVersion(): Promise<string | undefined> {
  return runProgram('fio', ['--version']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

/**
 * fio, one buffer a thread. `fio` overwrites files that it laid out before, as its users do; `fio-new`, of stores alone,
 * makes them as everyone else does.
 */
export function fio(
  by: 'fio' | 'fio-new',
  { directory, files, bytes, threads, direct }: Load,
  signal: AbortSignal,
): Contender {
  const jobs = Math.min(threads, files);
  const making = ['--overwrite=0', '--create_on_open=1', '--fallocate=none'];
  const run = async (rw: 'read' | 'write') => {
    const words = [
      ...['--name=kv', `--directory=${directory}`, `--rw=${rw}`, '--ioengine=psync', `--bs=${Math.min(BLOCK, bytes)}`],
      ...[
        `--numjobs=${jobs}`,
        `--nrfiles=${Math.ceil(files / jobs)}`,
        `--filesize=${bytes}`,
        `--direct=${direct ? 1 : 0}`,
      ],
      ...['--file_service_type=sequential', '--thread', '--group_reporting', '--invalidate=0'],
      ...(by === 'fio' ? ['--overwrite=1'] : making),
      '--output-format=json',
    ];
    const { stdout } = await runProgram('fio', words, { signal });
    const { jobs: answers } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
      jobs: { read: { bw_bytes: number }; write: { bw_bytes: number } }[];
    };
    const rate = answers[0]?.[rw].bw_bytes ?? NaN;
    return (files * bytes) / rate;
  };
  mkdirSync(directory, { recursive: true });
  return {
    by,
    ...(by === 'fio-new' && { only: 'store' }),
    ready: () => {
      if (by === 'fio-new') emptied(directory);
    },
    store: () => run('write'),
    retrieve: () => run('read'),
    files: () => dataFilesBelow(directory),
    close: () => undefined,
  };
}
