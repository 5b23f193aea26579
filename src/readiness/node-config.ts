/** The configuration that a node's environment means. */
import { join } from 'node:path';
import { type Config, loadConfig } from '../config/index.js';
import { type System, valueOf } from './system.js';

const CONFIG_FILE = 'LMCACHE_CONFIG_FILE';

/**
 * As a process of that node would read it; in a recorded tree the file that `LMCACHE_CONFIG_FILE` names is the tree's.
 *
 * @param path - the cache directory in place of the configured ones
 * @throws KVOffloadError what `loadConfig` throws
 */
export async function nodeConfig(system: System, path: string | undefined): Promise<Config> {
  const overrides = path === undefined ? {} : { overrides: { gds_path: path } };
  const named = system.env[CONFIG_FILE];
  if (system.root === undefined || !named) return loadConfig({ env: system.env, ...overrides });
  const inTree = valueOf(await system.realpath(named)) ?? named;
  return loadConfig({ env: { ...system.env, [CONFIG_FILE]: join(system.root, inTree) }, ...overrides });
}

/** The paths that someone configured; the default place is never meant by silence. */
export function configuredPaths(config: Config): readonly string[] {
  const given = config.explain().some(({ property, source }) => property === 'paths' && source !== 'default');
  return given ? config.paths : [];
}
