/** The native engine as the rest of the library uses it: batches in, outcomes out, errors with a code. */
import { type DeviceFailure, failureError } from './device-errors.js';
import { KVOffloadError } from './errors.js';
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
  /** A GPU: without it, device memory is refused. */
  readonly device?: DeviceSession;
  /** Register memory with cuFile, and let operations ask for it. Needed with a device. */
  readonly useGds?: boolean;
  /** Fail what cuFile refuses, in place of staging it. Default false. */
  readonly requireGds?: boolean;
  /** System calls that fail, for tests: native/core/files_faulty.cc. */
  readonly faults?: string;
}

/** A GPU as the native engine holds it. */
export type DeviceSession = OpenedDevice['session'];

/** An opened GPU; see native/index.d.cts. */
export type OpenedDevice = Exclude<Awaited<ReturnType<Native['openDevice']>>, { failure: unknown }>;

/** Device memory that segments may name. */
export type AddedDeviceMemory = Exclude<
  Awaited<ReturnType<InstanceType<Native['NativeEngine']>['addDeviceRegion']>>,
  { failure: unknown }
>;

/** Which device memory to add: the caller's by address, another process's by handle, or new. */
export interface DeviceMemoryOptions {
  readonly bytes: bigint;
  readonly address?: bigint;
  readonly handle?: Uint8Array;
  readonly offset?: bigint;
}

/** cuFile's own counts for the whole process: bytes, and calls by the way that they took. */
export type GdsCounters = NonNullable<ReturnType<InstanceType<Native['NativeEngine']>['gdsCounters']>>;

/** How a GPU is opened; paths undefined: what the loader finds. */
export interface OpenDeviceOptions {
  readonly index: number;
  readonly libcuda: string | undefined;
  /** Whether to open cuFile's driver too. */
  readonly cufile:
    | {
        readonly library: string | undefined;
        readonly log: string;
        readonly configuration: string | undefined;
        /** For its driver to open. */
        readonly timeoutMs: number;
      }
    | undefined;
}

/** @throws KVOffloadError `KVO_DEVICE_UNAVAILABLE`, `KVO_NATIVE_MISSING` */
export async function openDevice(options: OpenDeviceOptions): Promise<OpenedDevice> {
  const { index, libcuda = '', cufile } = options;
  const opened = await native().openDevice({
    index,
    libcuda,
    ...(cufile && {
      cufile: {
        library: cufile.library ?? '',
        log: cufile.log,
        configuration: cufile.configuration ?? '',
        timeoutMs: cufile.timeoutMs,
      },
    }),
  });
  if (!('failure' in opened)) return opened;
  const { call, text } = opened.failure;
  throw new KVOffloadError(
    'KVO_DEVICE_UNAVAILABLE',
    `no GPU cuda:${index}: ${call} failed: ${text}; check nvidia-smi and CUDA_VISIBLE_DEVICES, or set kv_offload.device to cpu`,
  );
}

/** Lets go of a GPU that engines have been given: CUDA's context ends with the last of them. */
export function releaseDevice(session: DeviceSession): void {
  native().releaseDevice(session);
}

/** Seconds of copies between pinned host memory and a GPU, one a run. */
export interface CopySpeed {
  readonly toDevice: readonly number[];
  readonly toHost: readonly number[];
}

/**
 * How fast the GPU's link is: copies of `bytes`, `runs` each way. Takes so many bytes of pinned and of GPU memory.
 *
 * @param bytes - an integer from 1 up, as `runs` is
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID`, `KVO_DEVICE_MEMORY`, `KVO_CUDA`
 */
export async function measureCopies(session: DeviceSession, bytes: number, runs: number): Promise<CopySpeed> {
  for (const [name, value] of [['bytes', bytes] as const, ['runs', runs] as const]) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `${name} is ${value}; it is an integer from 1 up`);
  }
  const measured = await native().measureCopies(session, bytes, runs);
  if ('failure' in measured) throw failureError(`pinned copies of ${bytes} bytes`, measured.failure);
  return measured;
}

/** cuFile's version as `1.15`, and its file, without opening its driver; or why it can't be had. */
export function cufileVersion(library = ''): { version: string; path: string } | { failure: string } {
  const found = native().cufileVersion(library);
  if ('failure' in found) return { failure: found.failure.text };
  return { version: dottedVersion(found.version), path: found.path };
}

/** `1.15` for 1150: CUDA and cuFile give 1000 × major + 10 × minor. */
export function dottedVersion(version: number): string {
  return version === 0 ? 'unknown' : `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
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
    this.#engine = new this.#door.NativeEngine({ useGds: false, requireGds: false, ...options });
    this.#counters = new BigUint64Array(this.#door.statNames.length);
  }

  /**
   * Makes `byteLength` bytes from the view's start usable in segments. Returns the region's number.
   *
   * @param isArena - whether it is the engine's own memory, whose pages the kernel may be told how to treat
   */
  addRegion(start: Uint8Array, byteLength: number, isArena = false): number {
    return this.#engine.addHostRegion(start, byteLength, isArena);
  }

  /**
   * Makes device memory usable in segments.
   *
   * @param what - what a message calls it
   * @throws KVOffloadError `KVO_DEVICE_MEMORY`, `KVO_MEMORY_INVALID`, `KVO_CUDA`, `KVO_CLOSED`
   */
  async addDeviceMemory(options: DeviceMemoryOptions, what: string): Promise<AddedDeviceMemory> {
    const added = await this.#engine.addDeviceRegion(options);
    if ('failure' in added) throw failureError(what, added.failure);
    return added;
  }

  /** Copies between device and host memory, at once. @throws KVOffloadError `KVO_CUDA` */
  copyDevice(region: number, offset: number, host: Uint8Array, toDevice: boolean): void {
    refuse('a copy of device memory', this.#engine.copyDevice(region, offset, host, toDevice));
  }

  /** The IPC handle of a region, 64 bytes. @throws KVOffloadError `KVO_CUDA` */
  exportRegion(region: number): Uint8Array {
    const exported = this.#engine.exportRegion(region);
    if ('failure' in exported) throw failureError('export of device memory', exported.failure);
    return exported.handle;
  }

  /** Waits for all work that this process gave the GPU. @throws KVOffloadError `KVO_CUDA` */
  async synchronize(): Promise<void> {
    refuse('synchronize', await this.#engine.synchronize());
  }

  /** cuFile's counts; undefined without it, and where it does not count. */
  gdsCounters(): GdsCounters | undefined {
    return this.#engine.gdsCounters();
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
    const { ticket, done, failure } = this.#submit(plan);
    if (failure !== undefined) {
      await done;
      throw new KVOffloadError(
        'KVO_ARGUMENT_INVALID',
        `after: ${failure.call} failed: ${failure.text}; pass a CUevent or CUstream of this engine's GPU and process, or another's event by its IPC handle`,
      );
    }
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

  /** What the door refuses in a plan is memory out of bounds: everything else was checked. */
  #submit(plan: Plan) {
    try {
      return this.#engine.submit(plan);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new KVOffloadError('KVO_MEMORY_INVALID', `${why}; pass offsets and lengths inside of their regions`, cause);
    }
  }

  /** Asked anew each time, since it may begin while a batch is under way. */
  #isClosing(): boolean {
    return this.#closing !== undefined;
  }
}

function refuse(what: string, answer: { failure: DeviceFailure } | undefined): void {
  if (answer !== undefined) throw failureError(what, answer.failure);
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
