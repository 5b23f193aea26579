/** What the options of `bench` choose. */
import { availableParallelism } from 'node:os';
import { PRESET_NAMES, presetOf } from './presets.js';
import type { RunOptions } from './run.js';

const MIB = 2 ** 20;
/** Chunks a call: a prompt of 8,192 tokens. A call has a beginning and an end in which not all threads move bytes. */
const DEPTH = 32;

export interface Choices {
  readonly chunk?: readonly string[];
  readonly size?: number;
  readonly chunks?: number;
  readonly footprint: number;
  readonly threads?: readonly number[];
  readonly depth?: readonly number[];
  readonly io?: readonly ('buffered' | 'direct')[];
  readonly sums?: readonly ('on' | 'off')[];
  readonly sweep?: true;
}

/** Given values win over those of `--sweep`, and these over the settings'. @throws KVOffloadError `KVO_ARGUMENT_INVALID` */
export function sweepOf(choices: Choices): RunOptions['sweep'] {
  const all = choices.sweep === true;
  const sizes = choices.chunk ?? (all ? [...PRESET_NAMES, '1MiB'] : ['llama-3.1-8b']);
  const chunk = choices.size === undefined ? sizes : [`${choices.size}MiB`];
  const threads = choices.threads ?? (all ? doublings(2 * availableParallelism()) : undefined);
  const io = choices.io ?? (all ? (['buffered', 'direct'] as const) : undefined);
  const sums = choices.sums ?? (all ? (['off', 'on'] as const) : undefined);
  return {
    presets: chunk.map(presetOf),
    chunks: choices.chunks,
    footprint: choices.footprint * MIB,
    depths: choices.depth ?? (all ? [1, 32] : [DEPTH]),
    ...(threads && { threads }),
    ...(io && { direct: io.map((mode) => mode === 'direct') }),
    ...(sums && { sums: sums.map((state) => state === 'on') }),
  };
}

/** 1, 2, 4 … up to `most`. */
function doublings(most: number): number[] {
  const found = [];
  for (let value = 1; value <= most; value *= 2) found.push(value);
  return found;
}
