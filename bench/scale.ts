/** Opening an engine on many chunks, and looking a prompt up among them: `kv-offload bench scale`. */
import { measureLookup } from '../src/cli/bench/lookup-row.js';
import { runScale } from '../src/cli/bench/scale.js';
import { type Figure, plainFigure } from './pairs.js';

export async function benchScale(
  directory: string,
  threads: number,
  repeats: number,
  files: number,
): Promise<Figure[]> {
  const { rows } = await runScale({
    path: directory,
    files,
    processes: [1],
    chunk: '64KiB',
    footprint: 2 ** 20,
    threads,
    repeats,
    signal: new AbortController().signal,
    announce: () => Promise.resolve(),
  });
  const open = rows.find(({ operation }) => operation === 'open');
  const memory = Number(open?.details?.['memoryMiB'] ?? NaN);
  const count = files.toLocaleString('en');
  return [
    plainFigure(`engine open on ${count} chunks`, open?.values ?? [], 'ms', 'median', { most: 50 }),
    plainFigure(`memory of an engine open on ${count} chunks`, [memory], 'MiB', 'resident, above before', { most: 20 }),
  ];
}

/** A prompt of 512 chunks of 256 tokens, of which 511 are there. */
export async function benchLookupTime(directory: string, threads: number, repeats: number): Promise<Figure[]> {
  const signal = new AbortController().signal;
  const rows = await measureLookup({
    directory: `${directory}/lookup-time`,
    threads,
    repeats,
    plainIo: undefined,
    signal,
  });
  const whole = rows.find(({ details }) => details !== undefined);
  const hashing = Number(whole?.details?.['hashingMs'] ?? NaN);
  const from = `${String(whole?.details?.['algorithm'])}, of which hashing ${hashing.toFixed(2)} ms`;
  return [
    plainFigure('lookup of 512 chunks, 511 there, warm, from tokens', whole?.values ?? [], 'ms', from, { most: 4 }),
  ];
}
