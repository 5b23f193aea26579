/** What a batch answered, operation by operation, with errors that say what to do. */
import { constants } from 'node:os';
import { deviceError, isDeviceCode } from './device-errors.js';
import { type ErrorCode, KVOffloadError } from './errors.js';
import { returnHeaders } from './header-buffers.js';
import type { Plan } from './plan.js';

/** The native words; native/index.d.cts. */
interface NativeWords {
  readonly words: BigInt64Array;
  readonly stuck: boolean;
  readonly sums: BigUint64Array;
}

const NAMES = ['done', 'absent', 'exists', 'failed', 'aborted', 'stuck', 'size-mismatch'] as const;

/**
 * How a payload moved. `buffered`, `direct`: between file and host memory, through the page cache or past it. `staged`,
 * `staged-direct`: the same, and on to or from a GPU through pinned memory. `gds`: by cuFile.
 */
export type Via = 'nothing' | 'buffered' | 'direct' | 'staged' | 'staged-direct' | 'gds';

const VIAS: readonly Via[] = ['nothing', 'buffered', 'direct', 'staged', 'staged-direct', 'gds'];

/** What became of one operation. `size-mismatch`: the file is not as long as the segments and a header. */
export type OutcomeName = (typeof NAMES)[number];

/** Words an operation, and their halves: reading those spares a bigint each. Every platform of ours is little-endian. */
const WORDS = 4;
const HALVES = 2 * WORDS;
const ABORTED = 4n;

/** errno → code, and what the user can do. */
const REMEDIES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOSPC: ['KVO_NO_SPACE', 'free space on the filesystem or raise its quota'],
  EDQUOT: ['KVO_NO_SPACE', 'raise the quota or remove chunks'],
  EROFS: ['KVO_READ_ONLY', 'mount the filesystem for writing, or choose another weka_path'],
  EACCES: ['KVO_PERMISSION', 'give this process’s user the right to it'],
  EPERM: ['KVO_PERMISSION', 'give this process’s user the right to it'],
  EMFILE: ['KVO_TOO_MANY_FILES', 'raise the limit (ulimit -n), or lower kv_offload.open_files'],
  ENFILE: ['KVO_TOO_MANY_FILES', 'the system is out of file descriptors: raise fs.file-max'],
  ENOENT: ['KVO_PATH_UNUSABLE', 'the cache directory is gone: is the filesystem still mounted?'],
  ENOTDIR: ['KVO_PATH_UNUSABLE', 'a file stands where a directory of the cache should be: move it away'],
  EISDIR: ['KVO_PATH_UNUSABLE', 'something that is no regular file has the chunk’s name: move it away'],
};
const STUCK_REMEDY = 'the filesystem does not answer: look at its mount, or raise blocking_timeout_secs';

/** The outcomes of one batch. */
export class Outcomes {
  /** Header bytes as read, 4096 an operation; until {@link release}. Of an operation that failed, any. */
  readonly headers: Buffer;
  /** Block sums of what was read, for the operations that asked for them, one after the other. */
  readonly sums: BigUint64Array;
  /** How many operations the batch had. */
  readonly count: number;
  readonly #halves: Uint32Array;
  readonly #stuck: boolean;
  readonly #plan: Plan;
  #paths: readonly string[] | undefined;
  readonly #steps: readonly string[];
  readonly #closed: boolean;
  readonly #signal: AbortSignal | undefined;

  constructor(
    answer: NativeWords,
    plan: Plan,
    steps: readonly string[],
    closed: boolean,
    signal: AbortSignal | undefined,
  ) {
    const { buffer, byteOffset, length } = answer.words;
    this.#halves = new Uint32Array(buffer, byteOffset, length * 2);
    this.count = plan.kinds.length;
    this.headers = plan.headers;
    this.#stuck = answer.stuck;
    this.sums = answer.sums;
    this.#plan = plan;
    this.#steps = steps;
    this.#closed = closed;
    this.#signal = signal;
  }

  /** Outcomes of a batch that was never begun. */
  static aborted(plan: Plan, closed: boolean, signal: AbortSignal | undefined): Outcomes {
    const words = new BigInt64Array(plan.kinds.length * WORDS);
    for (let at = 0; at < words.length; at += WORDS) words[at] = ABORTED;
    return new Outcomes({ words, stuck: false, sums: new BigUint64Array(0) }, plan, [], closed, signal);
  }

  /** The headers are no longer looked at: their memory serves another batch. */
  release(): void {
    if (!this.#stuck) returnHeaders(this.headers);
  }

  outcome(operation: number): OutcomeName {
    const name = NAMES[this.#low(operation, 0)];
    if (name === undefined) throw new RangeError(`operation ${operation} has no outcome`);
    return name;
  }

  /** The errno of a failure, else 0. A probe's: the one that refused a file. */
  errno(operation: number): number {
    return this.#low(operation, 1);
  }

  /** File size for exists and size-mismatch, payload bytes moved for the rest. */
  bytes(operation: number): number {
    return this.#low(operation, 2) + this.#half(operation * HALVES + 5) * 2 ** 32;
  }

  /** How the payload moved. */
  via(operation: number): Via {
    return VIAS[this.#low(operation, 3) & 0xff] ?? 'nothing';
  }

  /** Of a load that is done: where in its header the run of equal bytes begins that ends it. */
  headerEnd(operation: number): number {
    return this.#half(operation * HALVES + 7);
  }

  /** The step that failed, by its name. */
  step(operation: number): string {
    return this.#steps[this.#low(operation, 3) >>> 8] ?? 'none';
  }

  /** Why the operation did not do what it should; for the outcomes failed, aborted and stuck. */
  error(operation: number): KVOffloadError {
    // Kept: every operation of a batch may have failed.
    this.#paths ??= this.#plan.paths.split('\0');
    const path = this.#paths[operation] ?? '';
    const outcome = this.outcome(operation);
    if (outcome === 'aborted') {
      return this.#closed
        ? new KVOffloadError('KVO_CLOSED', `${path}: dropped, since the engine was closed`)
        : new KVOffloadError('KVO_ABORTED', `${path}: dropped, since its AbortSignal fired`, this.#signal?.reason);
    }
    const step = this.step(operation);
    const number = this.errno(operation);
    if (isDeviceCode(step, number)) return deviceError(path, step, number);
    const name = errnoName(number);
    // Given up by the engine; an ETIMEDOUT of the filesystem's own comes from a step.
    if (step === 'none') return new KVOffloadError('KVO_IO_STUCK', `${path}: did not finish in time; ${STUCK_REMEDY}`);
    const [code, remedy] = REMEDIES[name] ?? ['KVO_IO', 'look at the filesystem and the kernel’s log'];
    return new KVOffloadError(code, `${path}: ${step} failed with ${name}; ${remedy}`);
  }

  #low(operation: number, word: number): number {
    return this.#half(operation * HALVES + word * 2);
  }

  #half(at: number): number {
    return this.#halves[at] ?? NaN;
  }
}

/** `ENOSPC` for 28. Node's getSystemErrorName knows libuv's errors alone, EDQUOT not among them. */
export function errnoName(errno: number): string {
  if (errno === 0) return 'no error';
  const [name] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [];
  return name ?? `errno ${errno}`;
}
