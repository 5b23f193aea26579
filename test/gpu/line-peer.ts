/** A child process that is asked by lines, and answers each by one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

export class LinePeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Lives as long as the test. */
  constructor(command: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(command, words, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('the peer has no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    onTestFinished(() => this.#end());
  }

  /** What it says next. */
  async next(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`${this.#child.spawnargs.join(' ')} ended`);
    return line.value;
  }

  async ask(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    return this.next();
  }

  /** By the end of its input, and once it is gone. */
  async #end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await gone;
  }
}
