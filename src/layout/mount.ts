/** On which mounted filesystem a path lies. */
import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** One mounted filesystem. */
export interface Mount {
  /** The mount point. */
  readonly path: string;
  /** As the kernel names it: `wekafs`, `ext4`, `tmpfs`, … */
  readonly type: string;
  /** The device or share. */
  readonly source: string;
  /** Of the mount and of the filesystem, each once. */
  readonly options: readonly string[];
}

/** What {@link findMount} reads the world through; tests put their own in. */
export interface MountSources {
  /** A whole text file. */
  readonly readFile?: (path: string) => string;
  /** Resolves symlinks; throws where the path does not exist. */
  readonly realpath?: (path: string) => string;
}

const UNKNOWN: Mount = { path: '/', type: 'unknown', source: 'none', options: [] };

/**
 * The mount that a path lies on: the one whose mount point is the longest prefix of it by whole components, after
 * symlinks; of several on one point the last, which hides the others. Of a path that does not exist yet, the nearest
 * directory above that does decides. Blocks, so it is asked once a base path.
 *
 * @returns a mount of type `unknown` where the system tells of none
 */
export function findMount(path: string, sources: MountSources = {}): Mount {
  const readFile = sources.readFile ?? ((file: string) => readFileSync(file, 'utf8'));
  const real = resolveExisting(resolve(path), sources.realpath ?? realpathSync.native);
  let best: Mount | undefined;
  for (const mount of readMounts(readFile)) {
    if (covers(mount.path, real) && mount.path.length >= (best?.path.length ?? 0)) best = mount;
  }
  return best ?? UNKNOWN;
}

/** The mounts of `/proc/self/mountinfo`'s text, in its order; lines that are none are left out. */
export function parseMountinfo(text: string): Mount[] {
  return parseLines(text, (fields) => {
    const dash = fields.indexOf('-', 6);
    const [path, ownOptions] = [fields[4], fields[5]];
    const [type, source, filesystemOptions = ''] = dash < 0 ? [] : fields.slice(dash + 1);
    return mountOf(path, type, source, `${ownOptions ?? ''},${filesystemOptions}`);
  });
}

/** The mounts of `/proc/mounts`' text, in its order; lines that are none are left out. */
export function parseMounts(text: string): Mount[] {
  return parseLines(text, ([source, path, type, options = '']) => mountOf(path, type, source, options));
}

function readMounts(readFile: (path: string) => string): Mount[] {
  const files = [
    ['/proc/self/mountinfo', parseMountinfo],
    ['/proc/mounts', parseMounts],
  ] as const;
  for (const [file, parse] of files) {
    try {
      const mounts = parse(readFile(file));
      if (mounts.length > 0) return mounts;
    } catch {
      // Without /proc, or without this file of it, the next one is asked.
    }
  }
  return [];
}

/** Symlinks resolved as far as the path exists; the rest is as it will be made. */
function resolveExisting(path: string, realpath: (path: string) => string): string {
  try {
    return realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(resolveExisting(parent, realpath), basename(path));
  }
}

function covers(mountPoint: string, path: string): boolean {
  return mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
}

function parseLines(text: string, toMount: (fields: string[]) => Mount | undefined): Mount[] {
  return text.split('\n').flatMap((line) => toMount(line.split(' ')) ?? []);
}

function mountOf(path: string | undefined, type: string | undefined, source: string | undefined, options: string) {
  if (path?.startsWith('/') !== true || !type || source === undefined) return undefined;
  const each = new Set(options.split(',').filter((option) => option !== ''));
  return { path: unescapeOctal(path), type, source: unescapeOctal(source), options: [...each].map(unescapeOctal) };
}

/** The kernel writes space, tab, newline, backslash and `#` as `\` and three octal digits; the rest of a name is as it is. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
