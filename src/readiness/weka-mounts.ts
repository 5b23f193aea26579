/** Every WekaFS mount of a node. */
import type { Mount } from '../layout/mount.js';
import { type NodeMounts, absolutePath, readMounts, resolveExisting } from './node-mounts.js';
import type { System } from './system.js';
import { type ExplainedOption, explainOptions, optionWarnings } from './weka-options.js';

/** The type, exactly: the kernel names nothing else so. */
export const WEKAFS = 'wekafs';

/** A WekaFS mount. */
export interface WekaMount extends Mount {
  /** What its options mean here; those that mean nothing are left out. */
  readonly explained: readonly ExplainedOption[];
  /** What will surprise, and what to do. */
  readonly warnings: readonly string[];
}

/** Where a configured path lies. */
export interface MountedPath {
  readonly path: string;
  /** Mount point. */
  readonly mount: string;
  /** Type of the filesystem: `wekafs`, `ext4`, …; `unknown` where the system doesn't tell. */
  readonly type: string;
}

/** What {@link findWekaMounts} found. */
export interface WekaMounts {
  /** In the kernel's order; bind mounts are mounts of their own. */
  readonly mounts: readonly WekaMount[];
  /** Each path that was asked for. */
  readonly paths: readonly MountedPath[];
}

/** The WekaFS mounts of a system, held against the paths of a cache. */
export async function wekaMountsOf(system: System, paths: readonly string[]): Promise<WekaMounts> {
  const mounts = await readMounts(system);
  const mounted = await Promise.all(paths.map((path) => mountedPath(system, mounts, absolutePath(system, path))));
  return {
    mounts: mounts.all
      .filter(({ type }) => type === WEKAFS)
      .map((mount) => ({
        ...mount,
        explained: explainOptions(mount.options),
        warnings: [...hidden(mount, mounts), ...optionWarnings(mount.options), ...elsewhere(mount, mounted)],
      })),
    paths: mounted,
  };
}

async function mountedPath(system: System, mounts: NodeMounts, path: string): Promise<MountedPath> {
  // A mount point is known without asking the filesystem below it, which may not answer.
  const answer = await system.answers(path);
  const { real } = 'errno' in answer ? { real: path } : await resolveExisting(system, path);
  const { path: mount, type } = mounts.of(real);
  return { path, mount, type };
}

/** Another mount on the same point, or above it, that came later. The root may be listed late, and hides nothing. */
function hidden(mount: Mount, mounts: NodeMounts): string[] {
  const later = mounts.all.slice(mounts.all.indexOf(mount) + 1);
  const over = later.find(({ path }) => path === mount.path || (path !== '/' && mount.path.startsWith(`${path}/`)));
  return over === undefined ? [] : [`hidden by a later mount (${over.type}) on ${over.path}; unmount that one`];
}

function elsewhere(mount: Mount, paths: readonly MountedPath[]): string[] {
  return paths
    .filter((path) => path.mount !== mount.path)
    .map(({ path, mount: point, type }) => `the cache path ${path} is not on it, but on ${point} (${type})`);
}
