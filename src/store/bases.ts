/** The directories chunks live in, as they are found when an engine opens. */
import { mkdir, realpath, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type ErrorCode, KVOffloadError } from '../errors.js';
import { CURRENT_GENERATION, type Generation, findMount } from '../layout/index.js';
import { errnoName } from '../outcomes.js';
import { planProbes } from '../plan.js';
import type { Transfer } from '../transfer.js';

/** One base path. */
export interface Base {
  /** Absolute, as configured. */
  readonly path: string;
  /** Type of its filesystem: `wekafs`, `ext4`, `tmpfs`, … */
  readonly filesystem: string;
  /** End of the names of data files there. */
  readonly suffix: string;
  /** Why nothing can be stored there; undefined where it can. */
  readonly readOnly: string | undefined;
  /** Why O_DIRECT is refused there; undefined where it works, or could not be tried. */
  readonly directRefused: string | undefined;
  /** Why hard links are refused there: chunks are then published by rename. */
  readonly linksRefused: string | undefined;
}

/**
 * Makes a missing base directory, finds what filesystem it is on, and tries what works there.
 *
 * @param generation - whose files are read and written there; default today's
 * @throws KVOffloadError `KVO_PATH_UNUSABLE`, `KVO_PERMISSION`, `KVO_READ_ONLY`, `KVO_NO_SPACE`, `KVO_IO_STUCK`
 */
export async function openBase(
  transfer: Transfer,
  configured: string,
  generation: Generation = CURRENT_GENERATION,
): Promise<Base> {
  const path = resolve(configured);
  await makeDirectory(path);
  const { type } = findMount(await realpath(path));
  const outcomes = await transfer.run(planProbes([path]));
  if (outcomes.outcome(0) !== 'done') throw outcomes.error(0);
  const probed = outcomes.bytes(0);
  const writeErrno = outcomes.errno(0);
  const refused = (errno: number) => (errno === 0 ? undefined : errnoName(errno));
  return {
    path,
    filesystem: type,
    suffix: generation.suffix(type),
    readOnly: refused(writeErrno),
    // A full disk says nothing of O_DIRECT.
    directRefused: [ENOSPC, EDQUOT].includes(probed & 0xffff) ? undefined : refused(probed & 0xffff),
    linksRefused: refused(probed >>> 16),
  };
}

const { ENOSPC, EDQUOT } = constants.errno;

const MAKE_CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'KVO_PERMISSION',
  EPERM: 'KVO_PERMISSION',
  EROFS: 'KVO_READ_ONLY',
  ENOSPC: 'KVO_NO_SPACE',
  EDQUOT: 'KVO_NO_SPACE',
};

async function makeDirectory(path: string): Promise<void> {
  try {
    // With a slash at its end a file's path is an error, not the file.
    const asDirectory = path.endsWith('/') ? path : `${path}/`;
    if (await isMissing(asDirectory)) await makeMissing(path);
    await stat(asDirectory);
  } catch (cause) {
    const name = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const code = MAKE_CODES[name] ?? 'KVO_PATH_UNUSABLE';
    const what =
      name === 'ENOTDIR' ? 'is, or lies below, something that is no directory' : `cannot be made or read (${name})`;
    throw new KVOffloadError(code, `cache path ${path} ${what}; choose another weka_path or mend it`, cause);
  }
}

function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );
}

/**
 * Makes a directory and those above it. Node's own `recursive` gives other errors than the kernel's, and never ends
 * where a directory that exists refuses with ENOENT, as /proc does.
 */
async function makeMissing(path: string, parentExists = false): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || parentExists) throw error;
    await makeMissing(dirname(path));
    await makeMissing(path, true);
  }
}
