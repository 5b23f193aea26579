/** The live check: one chunk stored and retrieved through the configured transport. */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/index.js';
import type { EngineStats } from '../store/engine.js';
import { KVOffloadError } from '../errors.js';
import type { Finding, Goal } from './check.js';
import type { PathFacts } from './facts.js';

const MIB = 2 ** 20;
/** Layers, keys and values, heads, head size: 1 MiB at 256 tokens, more than RDMA needs to be worth it. */
const LAYERS = 2;
const HEADS = 4;
const HEAD_SIZE = 128;
const TOKEN_BYTES = LAYERS * 2 * HEADS * HEAD_SIZE * 2;

/** The kinds of transport that serve what was asked for. */
const WANTED: Readonly<Record<Goal, readonly string[]>> = {
  host: ['host'],
  staged: ['staged'],
  auto: ['gds', 'staged'],
  cufile: ['gds'],
  gds: ['gds'],
};

/**
 * Stores a chunk of random bytes in a temporary directory below the cache's path (or the nearest directory above that
 * exists), retrieves it, compares, and removes the directory.
 *
 * @param goal - gds: any other transport is a failure
 */
export async function tryLive(config: Config, goal: Goal, { existing, answers }: PathFacts): Promise<Finding> {
  const where = existing;
  if (!answers) return { status: 'fail', seen: `${existing} does not answer; not tried`, where };
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(existing, '.kvo-doctor-'));
    return await roundTrip(liveConfig(config, directory, goal), goal, where);
  } catch (error) {
    const code = error instanceof KVOffloadError ? ` [${error.code}]` : '';
    const seen = `${error instanceof Error ? error.message : String(error)}${code}`;
    return { status: 'fail', seen, where };
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The node's own settings, but for what a probe must not do at full size. */
function liveConfig(config: Config, path: string, goal: Goal): Config {
  const chunkMiB = Math.ceil((config.chunkSize * TOKEN_BYTES) / MIB);
  return {
    ...config,
    paths: [path],
    // Two slots; the size of the whole buffer is the check `buffer`'s.
    bufferMiB: 2 * chunkMiB + 1,
    requireGds: goal === 'gds',
    // --require-gds asks for it where the settings may name no GPU.
    ...(goal === 'gds' && config.device === 'cpu' && { device: 'cuda', useGds: true, transport: 'auto' }),
    useLayerwise: false,
    saveOnlyFirstRank: false,
    minRetrieveTokens: 0,
  };
}

async function roundTrip(config: Config, goal: Goal, where: string): Promise<Finding> {
  const { KVCacheEngine } = await import('../store/engine.js');
  const engine = await KVCacheEngine.open(config, {
    modelName: 'kv-offload/doctor',
    kvDtype: 'bfloat16',
    kvShape: [LAYERS, 2, config.chunkSize, HEADS, HEAD_SIZE],
  });
  try {
    const tokens = Array.from({ length: config.chunkSize }, () => randomInt(2 ** 31));
    const bytes = randomBytes(config.chunkSize * TOKEN_BYTES);
    const [source, target] = await engine.lease(2);
    if (source === undefined || target === undefined) throw new Error('two slots were leased, and there are fewer');
    source.copyFrom(bytes);
    const [stored] = (await engine.store(tokens, [source])).chunks;
    if (stored?.outcome !== 'stored') throw stored?.error ?? new Error(`store: ${stored?.outcome ?? 'no outcome'}`);
    const [read] = (await engine.retrieve(tokens, [target])).chunks;
    if (read?.outcome !== 'hit') throw read?.error ?? new Error(`retrieve: ${read?.outcome ?? 'no outcome'}`);
    const back = Buffer.alloc(bytes.length);
    target.copyTo(back);
    if (!back.equals(bytes)) {
      return { status: 'fail', seen: 'other bytes came back than were stored', where };
    }
    const { kind, reason, io } = engine.transport;
    const how = `${kind}${io[0] === undefined ? '' : `, ${io[0].mode} I/O`}: ${reason}`;
    const seen = `stored and retrieved ${bytes.length / MIB} MiB by ${how}${movedBy(engine.stats())}`;
    return { status: WANTED[goal].includes(kind) ? 'ok' : 'fail', seen, where };
  } finally {
    await engine.close();
  }
}

/** What cuFile itself says of the way its calls took. */
function movedBy({ cufile }: EngineStats): string {
  if (cufile === undefined) return '';
  const { readsDirect, readsPosix, writesDirect, writesPosix } = cufile;
  return `; cuFile counts ${readsDirect} reads and ${writesDirect} writes direct, ${readsPosix} and ${writesPosix} through POSIX`;
}
