/** All checks of a node, and what they come to. */
import type { Check, Finding, Goal } from './check.js';
import { LIVE_WHY, judgeAll } from './checks/index.js';
import { type NodeFacts, gatherFacts } from './facts.js';
import { goalOf, goalText } from './goal.js';
import { shardPath } from '../layout/shard.js';
import type { System } from './system.js';
import { type GdsVerdict, gdsVerdict, obstacles, oneLine } from './verdict.js';
import { type MountedPath, WEKAFS } from './weka-mounts.js';

/** What {@link runDoctor} finds. */
export interface DoctorReport {
  /** The configured transport will work as configured; with `requireGds`: GPUDirect Storage to the cache's path. */
  readonly ready: boolean;
  /** One line: what works, or what keeps it from working. */
  readonly reason: string;
  /** The transport that the settings, or `requireGds`, ask for. */
  readonly transport: Goal;
  /** The cache's directories, and where they lie. */
  readonly paths: readonly MountedPath[];
  /** Whether GPUDirect Storage would work, needed or not. */
  readonly gds: GdsVerdict;
  readonly checks: readonly Check[];
}

export interface DoctorOptions {
  /** The cache directory, in place of the configured ones. */
  readonly path?: string;
  /** Only GPUDirect Storage counts as ready. Default: `kv_offload.require_gds`. */
  readonly requireGds?: boolean;
  /** Leave out what takes long: gdscheck, nvidia-smi, the live check. Default false. */
  readonly quick?: boolean;
}

export async function examine(system: System, options: DoctorOptions): Promise<DoctorReport> {
  const facts = await gatherFacts(system, options.path);
  const goal = goalOf(facts, options.requireGds === true);
  const judged = judgeAll(facts, goal);
  const live = await liveCheck(facts, goal, judged, options.quick === true);
  const checks = [...judged, live];
  const paths = facts.paths.map(({ path, mount }) => ({ path, mount: mount.path, type: mount.type }));
  const onWeka = paths.length > 0 && paths.every(({ type }) => type === WEKAFS);
  const gds = gdsVerdict(goal === 'gds' ? judged : judgeAll(facts, 'gds'), onWeka);
  const against = obstacles(checks, goal === 'gds');
  // Asked for on the living node, so that not having been able to try is no proof.
  const unproven = goal === 'gds' && facts.living && options.quick !== true && live.status !== 'ok';
  const ready = against.length === 0 && !unproven;
  const places = paths.map(({ path, type }) => `${path} (${type})`).join(', ');
  const reason = ready ? `${goalText(goal)} ↔ ${places}` : oneLine(against.length > 0 ? against : [live]);
  return { ready, reason, transport: goal, paths, gds, checks };
}

async function liveCheck(facts: NodeFacts, goal: Goal, judged: readonly Check[], quick: boolean): Promise<Check> {
  const { status, seen, where, fix } = await liveFinding(facts, goal, judged, quick);
  return { id: 'live', status, seen, where, why: LIVE_WHY, fix: fix ?? null, needed: true };
}

async function liveFinding(
  { living, config, paths }: NodeFacts,
  goal: Goal,
  judged: readonly Check[],
  quick: boolean,
): Promise<Finding> {
  const where = 'a temporary directory in the cache’s path';
  if (!living) return { status: 'unknown', seen: 'not tried: this is a recorded tree', where };
  if (quick) return { status: 'unknown', seen: 'not tried: this is the quick check', where };
  // The one of several that is written to.
  const path = config && paths[config.paths.indexOf(shardPath(config.paths, config.deviceIndex))];
  if (config === undefined || path === undefined) return { status: 'unknown', seen: 'not tried: no settings', where };
  if (judged.some(({ id, status }) => id === 'permissions' && status === 'fail')) {
    return { status: 'unknown', seen: 'not tried: permissions fails', where };
  }
  const { tryLive } = await import('./live.js');
  return tryLive(config, goal, path);
}
