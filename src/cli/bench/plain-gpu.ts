/** Drives bench/gpu/plain_gpu.cc, the plain C++ that ours is held against. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Cost } from './measure.js';

/** Where scripts/gpu.mjs has it built. */
const PROGRAM = process.env['KV_OFFLOAD_PLAIN_GPU'] ?? '.cmake/core/plain_gpu';

/** A run's answer. */
interface Answer extends Cost {
  readonly verified: boolean | null;
}

/** What a run moves, and with what. */
export interface PlainRun {
  readonly directory: string;
  readonly files: number;
  /** Payload bytes a file. */
  readonly bytes: number;
  readonly threads: number;
  /** Bytes of a piece where device memory is scattered. */
  readonly segment?: number;
  /** Compare every byte. */
  readonly check?: boolean;
}

/** One running plain_gpu. */
export class PlainGpu {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  /** @param library - libcuda's path, or undefined for the loader's */
  constructor(library: string | undefined) {
    const words = library === undefined ? [] : ['--cuda', library];
    this.#child = spawn(PROGRAM, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.on('error', (error) => {
      throw new Error(`cannot run ${PROGRAM}: ${error.message}; npm run bench:gpu builds it`);
    });
    if (!this.#child.stdout) throw new Error('plain_gpu has no output');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** GB/s of pinned copies. */
  async ceiling(): Promise<{ toDevice: number; toHost: number }> {
    return (await this.#ask('ceiling')) as { toDevice: number; toHost: number };
  }

  /** Runs `store` or `load`. @throws Error where bytes were compared and wrong */
  async run(what: 'store' | 'load', { directory, check = false, ...numbers }: PlainRun): Promise<Cost> {
    const words = Object.entries(numbers).map(([name, value]) => `${name}=${value}`);
    const answer = (await this.#ask([what, directory, ...words, `check=${Number(check)}`].join(' '))) as Answer;
    if (check && answer.verified !== true) throw new Error(`plain_gpu: ${what} moved wrong bytes`);
    return answer;
  }

  close(): void {
    this.#child.stdin?.end();
  }

  async #ask(command: string): Promise<unknown> {
    this.#child.stdin?.write(`${command}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error(`plain_gpu ended at: ${command}`);
    return JSON.parse(answer.value);
  }
}
