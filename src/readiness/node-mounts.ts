/** Mounts of a node, and on which of them a path lies. */
import { basename, dirname, join, resolve } from 'node:path/posix';
import { type Mount, findMount, parseMountinfo, parseMounts } from '../layout/mount.js';
import { type System, valueOf } from './system.js';

const MOUNTINFO = '/proc/self/mountinfo';
const MOUNTS = '/proc/mounts';

/** The mounts of a node, as its kernel lists them. */
export interface NodeMounts {
  /** Where they were read; undefined where neither file can be. */
  readonly where: string | undefined;
  /** In the kernel's order: of several on one point the last hides the others. */
  readonly all: readonly Mount[];
  /** The mount that a path without symlinks lies on; of type `unknown` where none is known. */
  readonly of: (realPath: string) => Mount;
}

export async function readMounts(system: System): Promise<NodeMounts> {
  for (const [where, parse] of [
    [MOUNTINFO, parseMountinfo],
    [MOUNTS, parseMounts],
  ] as const) {
    const text = valueOf(await system.readText(where)) ?? '';
    const all = parse(text);
    if (all.length > 0) return { where, all, of: (path) => mountOf(path, where, text) };
  }
  return { where: undefined, all: [], of: (path) => mountOf(path, '', '') };
}

/** A path as it is, and as it will be: symlinks resolved as far as it exists. */
export interface ResolvedPath {
  readonly real: string;
  /** The nearest directory that exists, itself where it does; without symlinks. */
  readonly existing: string;
  readonly exists: boolean;
}

/** A cache path as the node's processes mean it: relative ones below this process's directory, in a tree below `/`. */
export function absolutePath(system: System, path: string): string {
  return system.root === undefined ? resolve(path) : resolve('/', path);
}

/** Asks the filesystem of the path. */
export async function resolveExisting(system: System, path: string): Promise<ResolvedPath> {
  const real = valueOf(await system.realpath(path));
  if (real !== undefined) return { real, existing: real, exists: true };
  const parent = dirname(path);
  if (parent === path) return { real: path, existing: path, exists: false };
  const above = await resolveExisting(system, parent);
  return { real: join(above.real, basename(path)), existing: above.existing, exists: false };
}

/** The layout's own rule, so that doctor and engine can't disagree. */
function mountOf(path: string, where: string, text: string): Mount {
  return findMount(path, {
    readFile: (file) => {
      if (file === where) return text;
      throw new Error(`${file} is not read`);
    },
    realpath: (same) => same,
  });
}
