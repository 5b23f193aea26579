/** Drives bench/plain_io.cc, the plain C++ loops that ours is held against. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Where scripts/bench.mjs has it built. */
const PROGRAM = process.env['KV_OFFLOAD_PLAIN_IO'] ?? '.cmake/core/plain_io';

export interface PlainOptions {
  readonly files: number;
  /** Payload bytes a file; 4096 more stand before it. */
  readonly bytes: number;
  readonly threads: number;
  /** Bytes a call. */
  readonly block: number;
}

/** One running plain_io. */
export class PlainIo {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor({ files, bytes, threads, block }: PlainOptions) {
    this.#child = spawn(PROGRAM, [files, bytes, threads, block].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
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
    this.#child.stdin?.end();
  }
}
