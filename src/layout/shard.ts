/** Which of several base paths this process writes to. Reads look at all of them. */
import { KVOffloadError } from '../errors.js';

/**
 * The base path of a device: `paths[index % n]`, with Python's modulo, so that -1 is the last. No integer counts as 0.
 *
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` where there is no path
 */
export function shardPath(paths: readonly string[], deviceIndex: number | undefined): string {
  const index = Number.isSafeInteger(deviceIndex) ? (deviceIndex ?? 0) : 0;
  const path = paths.at(index % paths.length);
  if (path === undefined)
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', 'there is no base path to choose from; give at least one');
  return path;
}

/** The index in torch's name of a device: 5 of `cuda:5`; undefined where there is none. */
export function deviceIndex(device: string): number | undefined {
  const digits = /^[^:]*:([+-]?[0-9]+)$/.exec(device)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
