/** Drives bench/plain_io.cc, the plain C++ loops that ours is held against: in a clone with a compiler alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Program, findProgram } from './compile.js';

export interface PlainOptions {
  readonly files: number;
  /** Payload bytes a file; 4096 more stand before it. */
  readonly bytes: number;
  readonly threads: number;
  /** Bytes a call. */
  readonly block: number;
  readonly direct?: boolean;
  /** Files a call of `store` and `load`; absent, all of them. */
  readonly depth?: number;
}

/** The program's path, compiled if need be; or why there is none. */
export async function findPlainIo(): Promise<Program> {
  return findProgram('plain_io', ['bench/plain_io.cc']);
}

/** One running plain_io. */
export class PlainIo {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(program: string, { files, bytes, threads, block, direct = false, depth }: PlainOptions) {
    const numbers = [files, bytes, threads, block].map(String);
    const words = [...numbers, ...(direct ? ['direct'] : []), ...(depth === undefined ? [] : [`depth=${depth}`])];
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    // What it does not read any more, its answer will tell.
    this.#child.stdin?.on('error', () => undefined);
    if (!this.#child.stdout) throw new Error('plain_io has no output');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Runs one command (`store DIR`, `load DIR`, `stat LIST`); the seconds it took. */
  async run(command: string): Promise<number> {
    this.#child.stdin?.write(`${command}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error(`plain_io ended at: ${command}`);
    return Number(answer.value);
  }

  close(): void {
    this.#child.kill();
  }
}
