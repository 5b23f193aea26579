/** Whether a node can offload KV by the transport it is configured for, what is missing, and how to mend it. */
import { configuredPaths, nodeConfig } from './node-config.js';
import { type NodeOptions, openSystem } from './open-system.js';
import { type WekaMounts, wekaMountsOf } from './weka-mounts.js';

export type { NodeOptions } from './open-system.js';
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
