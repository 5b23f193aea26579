/** The addon, or a typed error where there is none. The only importer of `#native`. */
import door from '#native';
import { KVOffloadError } from './errors.js';

/** The addon's exports, as native/index.d.cts types them. */
export type Native = typeof door;

/**
 * The addon.
 *
 * @throws {@link KVOffloadError} `KVO_NATIVE_MISSING` where no binary for this platform can be loaded
 */
export function native(): Native {
  if (door.failure !== undefined) {
    throw new KVOffloadError(
      'KVO_NATIVE_MISSING',
      `kv-offload has no native addon for ${process.platform}-${process.arch}, Node ${process.version}: ${door.failure.message.split('\n', 1)[0] ?? ''}. ` +
        'Build it (needs g++, make and python3): node node_modules/kv-offload/scripts/build-addon.mjs',
      door.failure,
    );
  }
  return door;
}
