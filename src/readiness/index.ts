/** Whether a node can offload KV by the transport it is configured for, what is missing, and how to mend it. */
import type { CufileConfig, CufileConfigOptions } from './cufile-config.js';
import { type DoctorOptions, type DoctorReport, examine } from './doctor.js';
import { gpuSettings } from './gpu-settings.js';
import { configuredPaths, nodeConfig } from './node-config.js';
import { type NodeOptions, openSystem } from './open-system.js';
import type { RecordedNode } from './record.js';
import { type WekaMounts, wekaMountsOf } from './weka-mounts.js';

export type { Check, CheckId, CheckStatus, Goal as TransportGoal } from './check.js';
export type { CufileChange, CufileConfig, CufileConfigOptions } from './cufile-config.js';
export type { DoctorOptions, DoctorReport } from './doctor.js';
export type { NodeOptions } from './open-system.js';
export type { RecordedNode } from './record.js';
export type { GdsVerdict } from './verdict.js';
export type { MountedPath, WekaMount, WekaMounts } from './weka-mounts.js';
export type { ExplainedOption } from './weka-options.js';

/**
 * Every WekaFS mount, its options explained, and where the cache's paths lie.
 *
 * @param options - `paths`: the cache's; default: the configured ones, where any are
 * @throws KVOffloadError `KVO_PATH_UNUSABLE` where `root` is no directory; what `loadConfig` throws
 */
export async function findWekaMounts(
  options: NodeOptions & { readonly paths?: readonly string[] } = {},
): Promise<WekaMounts> {
  const system = await openSystem(options);
  const paths = options.paths ?? configuredPaths(await nodeConfig(system, undefined));
  return wekaMountsOf(system, paths);
}

/**
 * The node's cufile.json with the settings that WekaFS needs; everything else in it, comments too, stays. Writes nothing.
 *
 * @throws KVOffloadError `KVO_CONFIG_PARSE` with file, line and column; `KVO_ARGUMENT_INVALID` for a file that can't be
 *   read; `KVO_PATH_UNUSABLE` where `root` is no directory
 */
export async function buildCufileConfig(options: NodeOptions & CufileConfigOptions = {}): Promise<CufileConfig> {
  const { cufileConfigOf } = await import('./cufile-config.js');
  const system = await openSystem(options);
  const config = options.from === undefined ? await nodeConfig(system, undefined) : undefined;
  return cufileConfigOf(system, options, gpuSettings(config).cufileConfig);
}

/**
 * Checks whether the transport that a node is configured for will work, and what GPUDirect Storage would lack. On this
 * machine it stores and retrieves a chunk in a temporary directory below the cache's path, unless `quick`. What is wrong
 * with a node, its settings included, is in the report, never an exception.
 *
 * @throws KVOffloadError `KVO_PATH_UNUSABLE` where `root` is no directory
 * @example
 * const { ready, reason, checks } = await runDoctor({ requireGds: true, path: '/mnt/weka/cache' });
 */
export async function runDoctor(options: NodeOptions & DoctorOptions = {}): Promise<DoctorReport> {
  return examine(await openSystem(options, options.quick !== true), options);
}

/**
 * As {@link runDoctor}, with an archive of what it read: a tree for `root`, to examine the node elsewhere. It holds no
 * file whole that may hold secrets; docs/readiness.md lists what is taken.
 *
 * @throws KVOffloadError `KVO_PATH_UNUSABLE` where `root` is no directory
 */
export async function recordNode(options: NodeOptions & DoctorOptions = {}): Promise<RecordedNode> {
  const { record } = await import('./record.js');
  return record(await openSystem(options, options.quick !== true), options);
}
