/** Options that stand for settings → the configuration they make together with file and environment. */
import type { Config } from '../config/index.js';
import { KVOffloadError } from '../errors.js';

/** Options of several commands that stand for settings; what is absent is left to file and environment. */
export interface SettingOptions {
  readonly base?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly seed?: string | undefined;
  readonly pythonVersion?: string | undefined;
  readonly chunkSize?: string | undefined;
  readonly saveUnfullChunk?: boolean | undefined;
  readonly lmcacheVersion?: string | undefined;
}

/** How the configuration's errors name what an option gave, and the option. */
const NAMED = [
  ['override gds_path', '--base'],
  ['override pre_caching_hash_algorithm', '--algorithm'],
  ['override chunk_size', '--chunk-size'],
  ['override extra_config.kv_offload.python_version', '--python-version'],
  ['override extra_config.kv_offload.lmcache_version', '--lmcache-version'],
] as const;
const SEED = ['environment PYTHONHASHSEED', '--seed'] as const;

/** Touches no cache directory. @throws KVOffloadError what `loadConfig` throws, naming the option where one is meant */
export async function loadSettings(options: SettingOptions = {}): Promise<Config> {
  const { loadConfig } = await import('../config/index.js');
  const { seed, pythonVersion, lmcacheVersion } = options;
  const own = {
    ...(pythonVersion !== undefined && { python_version: pythonVersion }),
    ...(lmcacheVersion !== undefined && { lmcache_version: lmcacheVersion }),
  };
  try {
    return await loadConfig({
      env: seed === undefined ? process.env : { ...process.env, PYTHONHASHSEED: seed },
      overrides: {
        gds_path: options.base,
        pre_caching_hash_algorithm: options.algorithm,
        chunk_size: options.chunkSize,
        save_unfull_chunk: options.saveUnfullChunk,
        ...(Object.keys(own).length > 0 && { extra_config: { kv_offload: own } }),
      },
    });
  } catch (error) {
    if (!(error instanceof KVOffloadError)) throw error;
    const named = seed === undefined ? NAMED : [...NAMED, SEED];
    const message = named.reduce((text, [place, option]) => text.replace(`${place}:`, `${option}:`), error.message);
    throw new KVOffloadError(error.code, message, error);
  }
}

/** Whether the user said where the cache is; the default place is never meant by silence. */
export function hasBase(config: Config): boolean {
  return config.explain().some(({ property, source }) => property === 'paths' && source !== 'default');
}

/** @throws KVOffloadError `KVO_ARGUMENT_INVALID` where {@link hasBase} is false */
export function requireBase(config: Config): void {
  if (hasBase(config)) return;
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    'no cache directory is given; use --base DIR, or set LMCACHE_WEKA_PATH',
  );
}
