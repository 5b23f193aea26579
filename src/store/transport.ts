/** How bytes move, and why so: never a guess of the user's. */
import type { Config } from '../config/index.js';
import { cufileErrorName, cufileRemedy } from '../device-errors.js';
import { KVOffloadError } from '../errors.js';
import { planGdsProbe } from '../plan.js';
import type { GdsCounters, Transfer } from '../transfer.js';
import type { Registration } from './backing.js';
import type { Base } from './bases.js';
import type { Gpu, GpuInfo } from './gpu.js';
import { listBase } from './list.js';

/** How a GPU's bytes move below one base path, each way. */
export interface Route {
  readonly path: string;
  readonly reads: 'gds' | 'staged';
  readonly writes: 'gds' | 'staged';
  /** Why so. */
  readonly reason: string;
}

/** What {@link KVCacheEngine.transport} tells. */
export interface TransportInfo {
  /**
   * `host`: files ↔ host memory. `staged`: files ↔ pinned host memory ↔ GPU memory. `gds`: files ↔ GPU memory, by cuFile.
   * With several base paths it is that of reads from the one that is written; `routes` has all.
   */
  readonly kind: 'host' | 'staged' | 'gds';
  /** Why this one. */
  readonly reason: string;
  /** Whether files are opened with O_DIRECT, and why or why not, by base path. */
  readonly io: readonly { readonly path: string; readonly mode: 'direct' | 'buffered'; readonly reason: string }[];
  /** By base path; empty without a GPU. */
  readonly routes: readonly Route[];
  /** The GPU, absent without one. */
  readonly device?: GpuInfo['device'];
  /** cuFile, where a GPU might use it. */
  readonly cufile?: GpuInfo['cufile'];
  /** As what cuFile knows the buffer; absent without a GPU. */
  readonly buffer?: Registration;
}

/** @throws KVOffloadError `KVO_TRANSPORT_UNAVAILABLE` where GPUDirect Storage is required and can't be meant */
export function checkTransport(config: Config): void {
  if (!config.requireGds) return;
  if (config.device === 'cpu') {
    throw unavailable('kv_offload.device is cpu: there is no GPU memory to move; set it to cuda');
  }
  if (!config.useGds) throw unavailable('use_gds is false; set it to true');
  if (config.transport === 'staged') throw unavailable('kv_offload.transport is staged; set it to auto');
}

/**
 * Chooses each base path's route.
 *
 * @param transfer - with the GPU, to try cuFile on a file of each
 * @throws KVOffloadError `KVO_TRANSPORT_UNAVAILABLE` where GPUDirect Storage is required and does not work
 */
export async function chooseRoutes(
  config: Config,
  gpu: Gpu,
  transfer: Transfer,
  bases: readonly Base[],
  writeBase: number,
): Promise<readonly Route[]> {
  const routes: Route[] = [];
  for (const [i, base] of bases.entries()) {
    const route = await chooseRoute(config, gpu, transfer, base);
    const [reads, writes] = [route.reads === 'gds', route.writes === 'gds' || i !== writeBase];
    if (config.requireGds && !(reads && writes && route.direct)) {
      throw unavailable(`${base.path}: ${route.reason}; see docs/gpu.md, and kv-offload doctor --require-gds`);
    }
    routes.push({ path: route.path, reads: route.reads, writes: route.writes, reason: route.reason });
  }
  return routes;
}

type Chosen = Route & { /** Proven, both ways. */ readonly direct: boolean };

async function chooseRoute(config: Config, gpu: Gpu, transfer: Transfer, base: Base): Promise<Chosen> {
  const { path } = base;
  const staged = (reason: string): Chosen => ({ path, reads: 'staged', writes: 'staged', reason, direct: false });
  if (!config.useGds) return staged('use_gds is false');
  if (config.transport === 'staged') return staged('kv_offload.transport is staged');
  const cufile = gpu.info.cufile;
  if (cufile === undefined || 'unavailable' in cufile) {
    return staged(`cuFile cannot be used: ${cufile?.unavailable ?? 'it was not opened'}`);
  }
  const probe = await probeGds(transfer, base);
  if (config.transport === 'gds') {
    if (probe.failure !== undefined) return staged(`kv_offload.transport is gds, but ${probe.failure}`);
    const reason = `kv_offload.transport is gds; ${probe.reason}`;
    return { path, reads: 'gds', writes: 'gds', reason, direct: probe.reads === true && probe.writes === true };
  }
  if (probe.failure !== undefined) return staged(probe.failure);
  const [reads, writes] = [probe.reads === true, probe.writes === true];
  const route = (direct: boolean) => (direct ? 'gds' : 'staged');
  return { path, reads: route(reads), writes: route(writes), reason: probe.reason, direct: reads && writes };
}

interface Probe {
  /** Why cuFile does not work there at all. */
  readonly failure?: string;
  /** Whether bytes went direct; undefined where that can't be told. */
  readonly reads?: boolean | undefined;
  readonly writes?: boolean | undefined;
  readonly reason: string;
}

/** The bits of a probe's answer; native/index.d.cts. */
const READ_DIRECT = 1;
const READ_POSIX = 2;
const WROTE_DIRECT = 4;
const WROTE_POSIX = 8;
const COUNTED = 16;

async function probeGds(transfer: Transfer, base: Base): Promise<Probe> {
  const target = base.readOnly === undefined ? base.path : await someChunk(transfer, base);
  if (target === undefined) {
    return failed(`nothing can be stored below it (${base.readOnly ?? ''}), and there is no chunk to try cuFile on`);
  }
  const outcomes = await transfer.run(planGdsProbe(target));
  if (outcomes.outcome(0) !== 'done') return failed(outcomes.error(0).message);
  const step = outcomes.step(0);
  if (step !== 'none') {
    const code = outcomes.errno(0);
    return failed(`a trial failed: ${step}: ${cufileErrorName(code)}; ${cufileRemedy(code)}`);
  }
  const found = outcomes.bytes(0);
  if ((found & COUNTED) === 0) {
    return {
      reason: 'this cuFile does not count which way bytes take as 1.15 to 1.20 do, so that it cannot be told',
    };
  }
  const way = (direct: number, posix: number) => {
    return (found & posix) !== 0 ? false : (found & direct) !== 0 ? true : undefined;
  };
  const reads = way(READ_DIRECT, READ_POSIX);
  const writes = way(WROTE_DIRECT, WROTE_POSIX);
  const word = (direct: boolean | undefined) =>
    direct === undefined ? 'was not tried' : direct ? 'went direct' : 'went through POSIX inside cuFile (compat mode)';
  return { reads, writes, reason: `a trial read ${word(reads)}, a trial write ${word(writes)}` };
}

function failed(failure: string): Probe {
  return { failure, reason: failure };
}

/** A chunk file below a base that can't be written. */
async function someChunk(transfer: Transfer, base: Base): Promise<string | undefined> {
  const { value } = await listBase(transfer, base.path).next();
  return value?.path;
}

/**
 * Says so where cuFile took its way through host memory after all: it does without an error, and only its counters
 * tell. They are the process's: another engine's calls are among them.
 */
export function warnOfPosix(
  config: Config,
  routes: readonly Route[],
  before: GdsCounters | undefined,
  after: GdsCounters | undefined,
): void {
  if (config.transport === 'gds' || before === undefined || after === undefined) return;
  const reads = routes.some((route) => route.reads === 'gds') ? after.readsPosix - before.readsPosix : 0;
  const writes = routes.some((route) => route.writes === 'gds') ? after.writesPosix - before.writesPosix : 0;
  if (reads + writes === 0) return;
  process.emitWarning(
    `${reads} reads and ${writes} writes went through POSIX inside cuFile, though a trial had gone direct; see kv-offload doctor and docs/gpu.md`,
    { type: 'KVOffloadWarning', code: 'KVO_GDS_POSIX' },
  );
}

/** What moves bytes for such a configuration. */
export function describeTransport(
  config: Config,
  bases: readonly Base[],
  writeBase: number,
  gpu: GpuInfo | undefined,
  routes: readonly Route[],
  buffer: Registration | undefined,
): TransportInfo {
  const io = bases.map(({ path, filesystem, directRefused }, i) => {
    const wanted = config.useDirectIo || routes[i]?.reads === 'gds';
    const why = config.useDirectIo ? 'use_direct_io is true' : 'cuFile wants it';
    if (!wanted) return { path, mode: 'buffered' as const, reason: 'use_direct_io is false' };
    if (directRefused === undefined) return { path, mode: 'direct' as const, reason: why };
    return { path, mode: 'buffered' as const, reason: `${filesystem} refuses O_DIRECT there (${directRefused})` };
  });
  const route = routes[writeBase];
  if (gpu === undefined || route === undefined) {
    return { kind: 'host', reason: 'kv_offload.device is cpu', io, routes: [] };
  }
  const { device, cufile } = gpu;
  return {
    kind: route.reads,
    reason: route.reason,
    io,
    routes,
    device,
    ...(cufile && { cufile }),
    ...(buffer && { buffer }),
  };
}

function unavailable(why: string): KVOffloadError {
  return new KVOffloadError('KVO_TRANSPORT_UNAVAILABLE', `require_gds is true, but ${why}`);
}
