/** What an engine is made of: GPU, base paths, threads, buffer. */
import type { Config } from '../config/index.js';
import { type ChunkHash, configuredNoneHash } from '../hash/index.js';
import { generationOf, shardPath } from '../layout/index.js';
import { Transfer, type TransferOptions, releaseDevice } from '../transfer.js';
import { Arena } from './arena.js';
import { type Base, openBase } from './bases.js';
import { type Gpu, type GpuInfo, openGpu } from './gpu.js';
import { Model } from './model.js';
import { threadsFor, transferOptions } from './options.js';
import { type Counters, type Session, Suspects } from './session.js';
import { checkTransport, chooseRoutes } from './transport.js';
import type { ModelDescription } from './types.js';

/** What is opened, and closed again where a part of it can't be had. */
export interface Opened {
  readonly session: Session;
  readonly arena: Arena;
  readonly gpu: GpuInfo | undefined;
}

/** @throws KVOffloadError what `KVCacheEngine.open` throws */
export async function openSession(
  config: Config,
  model: ModelDescription,
  internals: Pick<TransferOptions, 'faults'>,
): Promise<Opened> {
  checkTransport(config);
  const checked = new Model(model, config);
  const none = configuredNoneHash(config);
  const gpu = await openGpu(config);
  try {
    return await openWith(config, checked, none, gpu, internals);
  } finally {
    if (gpu !== undefined) releaseDevice(gpu.session);
  }
}

async function openWith(
  config: Config,
  model: Model,
  noneHash: ChunkHash,
  gpu: Gpu | undefined,
  internals: Pick<TransferOptions, 'faults'>,
): Promise<Opened> {
  const writeBase = config.paths.indexOf(shardPath(config.paths, config.deviceIndex));
  const tried = gpu && (await tryPaths(config, gpu, writeBase));
  const routes = tried?.routes ?? [];
  const gds = routes.some(({ reads, writes }) => reads === 'gds' || writes === 'gds');
  const transfer = new Transfer({
    ...transferOptions(config),
    ...internals,
    ioThreads: threadsFor(config, gds),
    ...(gpu && { device: gpu.session, useGds: gds, requireGds: config.requireGds }),
  });
  try {
    const leaseMs = config.maxAllocAttempts * config.allocationAttemptDelaySecs * 1000;
    const chunkBytes = model.tensor(config.chunkSize).bytes;
    const where = gpu === undefined ? 'host' : 'device';
    const arena = await Arena.allocate(transfer, where, config.bufferMiB, chunkBytes, leaseMs);
    const session: Session = {
      config,
      model,
      noneHash,
      transfer,
      bases: tried?.bases ?? (await openBases(transfer, config)),
      writeBase,
      counters: newCounters(),
      suspects: new Suspects(),
      routes,
    };
    return { session, arena, gpu: gpu?.info };
  } catch (error) {
    await transfer.close();
    throw error;
  }
}

function openBases(transfer: Transfer, config: Config): Promise<Base[]> {
  const generation = generationOf(config.lmcacheVersion);
  return Promise.all(config.paths.map((path) => openBase(transfer, path, generation)));
}

/** Base paths, and how the GPU's bytes move below each: by a pool of one thread, since that decides how many there are. */
async function tryPaths(config: Config, gpu: Gpu, writeBase: number) {
  const transfer = new Transfer({ ...transferOptions(config), ioThreads: 1, device: gpu.session, useGds: true });
  try {
    const bases = await openBases(transfer, config);
    return { bases, routes: await chooseRoutes(config, gpu, transfer, bases, writeBase) };
  } finally {
    await transfer.close();
  }
}

function newCounters(): Counters {
  return {
    lookups: 0,
    lookedUp: 0,
    found: 0,
    hits: 0,
    misses: 0,
    corrupt: 0,
    collisions: 0,
    unverified: 0,
    retrieveFailed: 0,
    stored: 0,
    exists: 0,
    dropped: 0,
    storeFailed: 0,
    bytesRetrieved: 0,
    bytesStored: 0,
  };
}
