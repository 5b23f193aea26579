/** Drives bench/gpu/plain_gpu.cc, the plain C++ that ours is held against on a GPU: in a clone with a compiler alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Program, findProgram } from './compile.js';
import { inPackage } from './package-root.js';

/** What one run cost. */
export interface PlainCost {
  readonly seconds: number;
  /** CPU seconds of its process, user and system. */
  readonly cpu: number;
}

interface Answer extends PlainCost {
  readonly verified: boolean | null;
}

/** What a run moves, and with what. */
export interface PlainRun {
  readonly directory: string;
  readonly files: number;
  /** Payload bytes a file. */
  readonly bytes: number;
  readonly threads: number;
  /** Files a call; absent, all of them. */
  readonly depth?: number;
  /** Bytes of a piece where device memory is scattered. */
  readonly segment?: number;
  /** cuFile moves the bytes, in place of pinned memory and copies. */
  readonly via?: 'cufile';
  /** With cuFile: whether its files are opened with O_DIRECT. */
  readonly direct?: boolean;
  /** Compare every byte. */
  readonly check?: boolean;
}

/** A store's slice, as ours has it: faster for both than the 4 MiB that loads go by. */
const STORE_SLICE = 2 * 2 ** 20;

const FOLDER = 'bench/gpu/plain';
const SHIM = ['cuda', 'cufile', 'library'].map((name) => `native/shim/${name}`);

/** The program's path, compiled if need be; or why there is none. */
export async function findPlainGpu(): Promise<Program> {
  const own = existsSync(inPackage(FOLDER)) ? readdirSync(inPackage(FOLDER)).map((name) => `${FOLDER}/${name}`) : [];
  const shim = SHIM.flatMap((name) => [`${name}.cc`, `${name}.h`]);
  return findProgram('plain_gpu', ['bench/gpu/plain_gpu.cc', ...own, ...shim], [`-I${inPackage('native')}`, '-ldl']);
}

export interface PlainGpuOptions {
  readonly program: string;
  /** libcuda's path; undefined: what the loader finds. */
  readonly libcuda: string | undefined;
  /** libcufile's, likewise. */
  readonly libcufile?: string | undefined;
  /** The GPU's number. */
  readonly index?: number;
  /** What it says of the machine goes to standard error; else only its last words into the error of a run. */
  readonly aloud?: boolean;
}

/** Why it does not run on this GPU; undefined where it does. */
export async function plainGpuTrouble(options: PlainGpuOptions): Promise<string | undefined> {
  const plain = new PlainGpu(options);
  try {
    await plain.ceiling();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    plain.close();
  }
}

/** Why cuFile by itself can't move a file in that directory; undefined where it can. */
export async function cufileTrouble(options: PlainGpuOptions, directory: string): Promise<string | undefined> {
  const plain = new PlainGpu(options);
  const run = { directory, files: 1, bytes: 2 ** 20, threads: 1, via: 'cufile', check: true } as const;
  try {
    await plain.run('store', run);
    await plain.run('load', run);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    plain.close();
  }
}

/** One running plain_gpu. */
export class PlainGpu {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #lastWords = '';

  constructor({ program, libcuda, libcufile, index = 0, aloud = false }: PlainGpuOptions) {
    const words = [
      ...(libcuda === undefined ? [] : ['--cuda', libcuda]),
      ...(libcufile === undefined ? [] : ['--cufile', libcufile]),
      ...['--device', String(index)],
    ];
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', aloud ? 'inherit' : 'pipe'] });
    this.#child.on('error', (error) => {
      this.#lastWords = error.message;
    });
    // What it does not read any more, its answer will tell.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#lastWords = data.toString().trim().split('\n').at(-1) ?? '';
    });
    if (!this.#child.stdout) throw new Error('plain_gpu has no output');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** GB/s of pinned copies. */
  async ceiling(): Promise<{ toDevice: number; toHost: number }> {
    return (await this.#ask('ceiling')) as { toDevice: number; toHost: number };
  }

  /** Runs `store` or `load`. @throws Error where bytes were compared and wrong */
  async run(what: 'store' | 'load', options: PlainRun): Promise<PlainCost> {
    const { directory, check = false, direct = false, ...named } = options;
    const words = Object.entries(named).map(([name, value]) => `${name}=${value}`);
    if (what === 'store' && options.via === undefined) words.push(`slice=${STORE_SLICE}`);
    const flags = [`direct=${Number(direct)}`, `check=${Number(check)}`];
    const answer = (await this.#ask([what, directory, ...words, ...flags].join(' '))) as Answer;
    if (check && answer.verified !== true) throw new Error(`plain_gpu: ${what} moved wrong bytes`);
    return answer;
  }

  close(): void {
    this.#child.stdin?.end();
  }

  async #ask(command: string): Promise<unknown> {
    this.#child.stdin?.write(`${command}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error(`plain_gpu ended at: ${command}; ${this.#lastWords}`);
    return JSON.parse(answer.value);
  }
}
