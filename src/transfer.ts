/** The native engine as the rest of the library uses it: batches in, outcomes out, errors with a code. */
import { type Native, native } from './native.js';
import { Outcomes } from './outcomes.js';
import type { Plan } from './plan.js';

/** How bytes are moved. */
export interface TransferOptions {
  /** Threads of the pool. */
  readonly ioThreads: number;
  /** Bytes a thread moves before another may take the chunk's next slice. */
  readonly sliceBytes: number;
  /** Open with O_DIRECT where the filesystem takes it. */
  readonly directIo: boolean;
  /** Files kept open for reading, at most. */
  readonly openFiles: number;
  /** A system call that takes longer is given up. */
  readonly timeoutMs: number;
  /** System calls that fail, for tests: native/core/files_faulty.cc. */
  readonly faults?: string;
}

/** Direct I/O and registered memory want addresses that are multiples of this. */
export const MEMORY_ALIGNMENT = 4096;

/** One pool of I/O threads, with the memory registered at it. */
export class Transfer {
  readonly #door: Native = native();
  readonly #engine: InstanceType<Native['NativeEngine']>;
  readonly #counters: BigUint64Array;
  #closing: Promise<readonly string[]> | undefined;

  /** @throws KVOffloadError `KVO_NATIVE_MISSING` where there is no addon for this platform */
  constructor(options: TransferOptions) {
    this.#engine = new this.#door.NativeEngine(options);
    this.#counters = new BigUint64Array(this.#door.statNames.length);
  }

  /** Makes `byteLength` bytes from the view's start usable in segments. Returns the region's number. */
  addRegion(start: Uint8Array, byteLength: number): number {
    return this.#engine.addHostRegion(start, byteLength);
  }

  /** False while a batch uses the region, or where one stuck in the kernel did. */
  releaseRegion(region: number): boolean {
    return this.#engine.releaseRegion(region);
  }

  /**
   * Carries out a batch. Settles when nothing touches its memory any more, an abort included; an operation stuck in
   * the kernel is the exception (see its outcome).
   */
  async run(plan: Plan, signal?: AbortSignal): Promise<Outcomes> {
    if (this.#isClosing() || signal?.aborted === true) {
      return Outcomes.aborted(plan, this.#isClosing(), signal);
    }
    const { ticket, done } = this.#engine.submit(plan);
    const forget = onAbort(signal, () => {
      this.#engine.abort(ticket);
    });
    try {
      return new Outcomes(await done, plan, this.#door.stepNames, this.#isClosing(), signal);
    } finally {
      forget();
    }
  }

  /** The pool's counters by name. */
  stats(): Record<string, number> {
    this.#engine.stats(this.#counters);
    return Object.fromEntries(this.#door.statNames.map((name, i) => [name, Number(this.#counters[i])]));
  }

  /** Refuses new work, drops the queue and waits for what is in flight. Resolves to what is stuck in the kernel. */
  close(): Promise<readonly string[]> {
    this.#closing ??= this.#engine.close();
    return this.#closing;
  }

  /** Asked anew each time, since it may begin while a batch is under way. */
  #isClosing(): boolean {
    return this.#closing !== undefined;
  }
}

interface Listening {
  readonly actions: Set<() => void>;
  readonly listener: () => void;
}

/** Signals that calls wait for. */
const listening = new WeakMap<AbortSignal, Listening>();

/**
 * Calls `action` when the signal fires. Returns what takes that back. However many calls share a signal, it has one
 * listener of ours: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal | undefined, action: () => void): () => void {
  if (signal === undefined) return () => undefined;
  const { actions, listener } = listening.get(signal) ?? listenTo(signal);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size > 0 || listening.get(signal)?.actions !== actions) return;
    signal.removeEventListener('abort', listener);
    listening.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Listening {
  const actions = new Set<() => void>();
  const listener = () => {
    for (const action of actions) action();
  };
  signal.addEventListener('abort', listener);
  listening.set(signal, { actions, listener });
  return { actions, listener };
}

/** Bytes from the view's start to the next address that is a multiple of {@link MEMORY_ALIGNMENT}. */
export function bytesToAlignment(view: Uint8Array): number {
  return native().bytesToBoundary(view, MEMORY_ALIGNMENT);
}

/** XXH3-64 of each block of the bytes. */
export function blockSums(bytes: Uint8Array, blockBytes: number): BigUint64Array {
  return native().blockSums(bytes, blockBytes);
}
