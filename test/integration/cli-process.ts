/** The command line as its users run it: the built dist/cli/main.js, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly bytes: Buffer;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What comes in by standard input; nothing by default. */
  readonly stdin?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  /** Descriptor that standard output goes to, in place of a pipe. */
  readonly stdout?: number;
}

/** Starts the command line. */
export function start(args: readonly string[], options: RunOptions = {}): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', options.stdout ?? 'pipe', 'pipe'],
  });
  // A command that ends on bad input does not read what it is given.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.stdin ?? '');
  return child;
}

/** Waits for its end. */
export async function finished(child: ChildProcess): Promise<Finished> {
  const out: Buffer[] = [];
  const complaint: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => out.push(data));
  child.stderr?.on('data', (data: Buffer) => complaint.push(data));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const bytes = Buffer.concat(out);
      resolve({ code, signal, bytes, stdout: bytes.toString(), stderr: Buffer.concat(complaint).toString() });
    });
  });
}

/** Runs one command line to its end. */
export function cli(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return finished(start(args, options));
}

/** Runs one that must succeed, quietly, and gives what it printed as JSON. */
export async function cliJson(args: readonly string[], options: RunOptions = {}): Promise<unknown> {
  const { code, stdout, stderr } = await cli([...args, '--json'], options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** Runs one with --json that must fail so, printing nothing but the error, and gives its message. */
export async function cliError(
  exitCode: number,
  errorCode: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await cli([...args, '--json'], options);
  const { error } = JSON.parse(stderr) as { error: { code: string; message: string; retriable: boolean } };
  const shape = { message: expect.any(String) as string, retriable: expect.any(Boolean) as boolean };
  expect({ code, stdout, error }).toEqual({ code: exitCode, stdout: '', error: { code: errorCode, ...shape } });
  return error.message;
}

/** A directory of a test's own, while it runs. */
export function scratchDirectory(): { readonly path: (...names: string[]) => string } {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kv-offload-cli-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  return { path: (...names) => join(directory, ...names) };
}

/** Every file below a directory, relative to it; none where it is missing. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
