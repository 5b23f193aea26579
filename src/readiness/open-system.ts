/** Which node is meant: this machine, or the tree in a directory. */
import { stat } from 'node:fs/promises';
import { processEnvironment } from '../config/environment.js';
import type { Environment } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import type { System } from './system.js';

/** What every call about a node takes. */
export interface NodeOptions {
  /** A directory that stands for `/`, as `kv-offload doctor --record` makes them. Default: this machine. */
  readonly root?: string;
  /** Environment variables. Default `process.env`, or with `root` what was recorded. */
  readonly env?: Environment;
}

/** @throws KVOffloadError `KVO_PATH_UNUSABLE` where `root` is no directory */
export async function openSystem({ root, env }: NodeOptions, spawns = true): Promise<System> {
  if (root === undefined) {
    const { thisMachine } = await import('./this-machine.js');
    return thisMachine(env ?? processEnvironment(), spawns);
  }
  const found = await stat(root).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new KVOffloadError('KVO_PATH_UNUSABLE', `root ${root} is no directory; unpack a recorded tree there`);
  }
  const { recordedTree } = await import('./recorded-tree.js');
  const tree = await recordedTree(root);
  return env === undefined ? tree : { ...tree, env };
}
