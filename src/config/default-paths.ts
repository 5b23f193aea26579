/** Where the cache lies when no path is given. Nothing here touches the filesystem. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { KVOffloadError } from '../errors.js';
import type { Environment } from './types.js';

/**
 * `$XDG_CACHE_HOME/kv-offload`, or `~/.cache/kv-offload`; a relative XDG_CACHE_HOME is ignored, as the XDG base
 * directory specification demands.
 *
 * @throws KVOffloadError KVO_CONFIG_INVALID_VALUE where the user has no home directory
 */
export function defaultPaths(env: Environment): readonly string[] {
  const cache = env['XDG_CACHE_HOME'];
  if (cache !== undefined && isAbsolute(cache)) return [join(cache, 'kv-offload')];
  const home = env['HOME'];
  return [join(home !== undefined && isAbsolute(home) ? home : systemHome(), '.cache', 'kv-offload')];
}

function systemHome(): string {
  try {
    return homedir();
  } catch (error) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      'default of gds_path: there is no home directory to keep the cache in; set LMCACHE_GDS_PATH or gds_path.',
      error,
    );
  }
}
