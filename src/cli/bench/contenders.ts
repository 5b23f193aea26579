/** Who stores and retrieves the same number of files of the same size: this library, the ceiling, the peers. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PlainIo } from './plain-io.js';
import type { Row } from './schema.js';

/** Bytes a system call, of everyone. */
export const BLOCK = 4 * 2 ** 20;

export interface Contender {
  readonly by: Row['by'];
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
  readonly direct: boolean;
}

/** Everyone writes new files into an empty directory, and nobody pays for removing the old ones. */
export function emptied(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}

export async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Regular files below a directory that hold chunks. */
export function dataFilesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.metadata'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** open, pwrite or pread by blocks, close, in threads; from and into memory of its own for every file. */
export function plainCpp(program: string, load: Load): Contender {
  const { directory, files, bytes, threads, direct } = load;
  const plain = new PlainIo(program, { files, bytes, threads, block: Math.min(BLOCK, bytes), direct });
  return {
    by: 'plain-cpp',
    ready: () => {
      emptied(directory);
    },
    store: () => plain.run(`store ${directory}`),
    retrieve: () => plain.run(`load ${directory}`),
    files: () => dataFilesBelow(directory),
    close() {
      plain.close();
    },
  };
}

/** What a user would write without this library. */
export function fsPromises({ directory, files, bytes, threads }: Load): Contender {
  const source = Buffer.alloc(bytes, 7);
  return {
    by: 'fs-promises',
    ready: () => {
      emptied(directory);
    },
    store: () => timed(() => each(files, threads, (i) => writeFile(join(directory, String(i)), source))),
    retrieve: () => timed(() => each(files, threads, (i) => readFile(join(directory, String(i))))),
    files: () => dataFilesBelow(directory),
    close: () => undefined,
  };
}

/** The same with buffers that are used again. */
export function fileHandles({ directory, files, bytes, threads }: Load): Contender {
  const buffers = Array.from({ length: files }, () => Buffer.alloc(bytes, 7));
  const move = async (i: number, flags: string, call: (file: FileHandle, at: number) => Promise<number>) => {
    const file = await open(join(directory, String(i)), flags);
    try {
      for (let at = 0; at < bytes;) {
        const moved = await call(file, at);
        if (moved === 0) throw new Error(`${join(directory, String(i))} ended at ${at} of ${bytes} bytes`);
        at += moved;
      }
    } finally {
      await file.close();
    }
  };
  return {
    by: 'file-handle',
    ready: () => {
      emptied(directory);
    },
    store: () =>
      timed(() =>
        each(files, threads, (i) =>
          move(i, 'w', async (file, at) => {
            const { bytesWritten } = await file.write(
              buffers[i] ?? Buffer.alloc(0),
              at,
              Math.min(BLOCK, bytes - at),
              at,
            );
            return bytesWritten;
          }),
        ),
      ),
    retrieve: () =>
      timed(() =>
        each(files, threads, (i) =>
          move(i, 'r', async (file, at) => {
            const { bytesRead } = await file.read(buffers[i] ?? Buffer.alloc(0), at, Math.min(BLOCK, bytes - at), at);
            return bytesRead;
          }),
        ),
      ),
    files: () => dataFilesBelow(directory),
    close: () => undefined,
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

/** fio, one buffer a thread. It overwrites the files that it laid out, so that its stores are no new files. */
export function fio({ directory, files, bytes, threads, direct }: Load, signal: AbortSignal): Contender {
  const jobs = Math.min(threads, files);
  const run = async (rw: 'read' | 'write') => {
    const words = [
      ...['--name=kv', `--directory=${directory}`, `--rw=${rw}`, '--ioengine=psync', `--bs=${Math.min(BLOCK, bytes)}`],
      ...[
        `--numjobs=${jobs}`,
        `--nrfiles=${Math.ceil(files / jobs)}`,
        `--filesize=${bytes}`,
        `--direct=${direct ? 1 : 0}`,
      ],
      ...['--file_service_type=sequential', '--thread', '--group_reporting', '--invalidate=0', '--overwrite=1'],
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
    by: 'fio',
    ready: () => undefined,
    store: () => run('write'),
    retrieve: () => run('read'),
    files: () => dataFilesBelow(directory),
    close: () => undefined,
  };
}

/** Runs `work` for 0 to count - 1, so many at a time. */
export async function each(count: number, atATime: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const runner = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atATime, count) }, runner));
}
