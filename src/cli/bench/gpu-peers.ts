/** Runs bench/gpu/peers.py: LMCache, KvikIO and NIXL, each in a process of its own. In a clone alone. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { inPackage } from './package-root.js';

/** Which peers, and with how many threads: where each was fastest, and as LMCache comes. */
export const PEERS = [
  { peer: 'lmcache-gds', threads: 4 },
  { peer: 'lmcache-gds', threads: 32 },
  { peer: 'lmcache-posix', threads: 32 },
  { peer: 'kvikio', threads: 16 },
  { peer: 'nixl', threads: 16 },
] as const;

export const PEERS_SCRIPT = 'bench/gpu/peers.py';

/** What a peer measured. */
export interface PeerFigures {
  readonly peer: string;
  readonly what: 'load' | 'store';
  readonly threads: number;
  /** GB/s. */
  readonly best: number;
  readonly median: number;
  /** GB/s, one a repeat. */
  readonly values: readonly number[];
  /** CPU seconds a GiB, and microseconds a chunk: medians. */
  readonly cpu: number;
  readonly us: number;
  /** Whether every byte of the first run was compared and right; null: not compared. */
  readonly verified: boolean | null;
  readonly note?: string;
}

/** One line of peers.py. */
export type PeerAnswer = PeerFigures | { readonly peer: string; readonly skipped?: string; readonly failed?: string };

export interface PeerRun {
  readonly peer: string;
  readonly threads: number;
  readonly directory: string;
  readonly bytes: number;
  readonly files: number;
  readonly repeats: number;
}

/** What a peer answers, run by run; that it cannot run here is an answer. */
export async function runPeer(
  python: string,
  run: PeerRun,
  options: { readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): Promise<PeerAnswer[]> {
  const words = [run.peer, run.directory, String(run.bytes), String(run.files), '--threads', String(run.threads)];
  const script = inPackage(PEERS_SCRIPT);
  const child = spawn(python, [script, ...words, '--repeats', String(run.repeats), '--store'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.signal && { signal: options.signal }),
    ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs, killSignal: 'SIGKILL' }),
  });
  const stderr: string[] = [];
  child.stderr.on('data', (data: Buffer) => stderr.push(data.toString()));
  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => {
      resolve(`cannot run ${python}: ${error.message}`);
    });
    child.on('close', (code, signal) => {
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code ?? '?'}`}`);
    });
  });
  const answers: PeerAnswer[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    // They print on their own account too.
    if (text.startsWith('{"peer"')) answers.push(JSON.parse(text) as PeerAnswer);
  }
  const trouble = await ended;
  options.signal?.throwIfAborted();
  if (trouble !== undefined && !answers.some((answer) => 'failed' in answer)) {
    const last = stderr.join('').trim().split('\n').slice(-3).join(' / ');
    answers.push({ peer: run.peer, failed: `${trouble}: ${last}` });
  }
  return answers;
}

/**
 * The environment in which a Python's CUDA libraries are found (scripts/lib/cuda-libraries.mjs), and in which the GPU
 * of that number is its first; or why peers can't be run.
 */
export async function peerEnvironment(
  python: string,
  index: number,
): Promise<{ readonly env: NodeJS.ProcessEnv } | { readonly missing: string }> {
  const helper = inPackage('scripts/lib/cuda-libraries.mjs');
  const absent = [inPackage(PEERS_SCRIPT), helper].find((file) => !existsSync(file));
  if (absent !== undefined) return { missing: `${PEERS_SCRIPT} comes with a clone, not with the package` };
  const visible = process.env['CUDA_VISIBLE_DEVICES']?.split(',') ?? [];
  const first = index === 0 ? {} : { CUDA_VISIBLE_DEVICES: visible[index] ?? String(index) };
  try {
    const { cudaLibraries } = (await import(pathToFileURL(helper).href)) as {
      cudaLibraries: (python: string) => Promise<Record<string, string>>;
    };
    return { env: { ...(await cudaLibraries(python)), ...first } };
  } catch (error) {
    return { missing: `${python} does not run (${error instanceof Error ? error.message : String(error)})` };
  }
}
