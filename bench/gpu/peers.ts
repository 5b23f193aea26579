/** Runs bench/gpu/peers.py: LMCache, KvikIO and NIXL, each in a process of its own. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Figures } from './measure.js';
import { type Row, size } from './rows.js';

export const PEERS = [
  { peer: 'lmcache-gds', threads: 4 },
  { peer: 'lmcache-gds', threads: 32 },
  { peer: 'lmcache-posix', threads: 32 },
  { peer: 'kvikio', threads: 16 },
  { peer: 'nixl', threads: 16 },
] as const;

/** One line of peers.py. */
type PeerAnswer =
  | ({
      readonly peer: string;
      readonly what: 'load' | 'store';
      readonly bytes: number;
      readonly files: number;
      readonly threads: number;
      readonly verified: boolean;
      readonly note?: string;
    } & Figures)
  | { readonly peer: string; readonly skipped?: string; readonly failed?: string };

interface PeerRun {
  readonly peer: string;
  readonly threads: number;
  readonly directory: string;
  readonly bytes: number;
  readonly files: number;
  readonly repeats: number;
}

/** What a peer answers, run by run; that it cannot run here is an answer. */
async function runPeer(python: string, run: PeerRun): Promise<PeerAnswer[]> {
  const words = [run.peer, run.directory, String(run.bytes), String(run.files), '--threads', String(run.threads)];
  const child = spawn(python, ['bench/gpu/peers.py', ...words, '--repeats', String(run.repeats), '--store'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stderr: string[] = [];
  child.stderr.on('data', (data: Buffer) => stderr.push(data.toString()));
  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(`cannot run ${python}: ${error.message}`));
    child.on('close', (code, signal) =>
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code ?? '?'}`}`),
    );
  });
  const answers: PeerAnswer[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    // They print on their own account too.
    if (text.startsWith('{"peer"')) answers.push(JSON.parse(text) as PeerAnswer);
  }
  const trouble = await ended;
  if (trouble !== undefined && !answers.some((answer) => 'failed' in answer)) {
    const last = stderr.join('').trim().split('\n').slice(-3).join(' / ');
    answers.push({ peer: run.peer, failed: `${trouble}: ${last}` });
  }
  return answers;
}

/** A peer's rows; that it cannot run here is said. */
export async function benchPeer(
  python: string,
  { peer, threads }: (typeof PEERS)[number],
  shape: Pick<Row, 'on' | 'chunkBytes' | 'chunks'> & { readonly directory: string },
  repeats: number,
  ceiling: number,
  add: (rows: readonly Row[]) => void,
  note: (text: string) => void,
): Promise<void> {
  const { directory, on, chunkBytes, chunks } = shape;
  for (const answer of await runPeer(python, { peer, threads, directory, bytes: chunkBytes, files: chunks, repeats })) {
    if (!('what' in answer)) {
      note(`SKIPPED ${peer}, ${threads} threads, ${size(chunkBytes)}: ${answer.skipped ?? answer.failed ?? '?'}`);
      continue;
    }
    const { best, median, cpu, us, what, verified } = answer;
    add([
      {
        ...{ what, who: peer, on, chunkBytes, chunks, threads, verified },
        ...(answer.note !== undefined && { note: answer.note }),
        ours: { best, median, cpu, us },
        ...(what === 'load' && { ceiling, ofCeiling: median / ceiling }),
      },
    ]);
  }
}
