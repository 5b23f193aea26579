/** A directory of the measurement's own, in which there is room, and which is gone afterwards whatever happens. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { KVOffloadError } from '../../errors.js';
import { findMount } from '../../layout/index.js';
import { requireDirectory } from '../input.js';
import { outputError } from '../system-errors.js';
import { availableMemory } from './machine.js';

const MIB = 2 ** 20;
/** Left free beside what is needed: headers, directories, and the machine itself. */
const SLACK = 1.05;
const IN_MEMORY: ReadonlySet<string> = new Set(['tmpfs', 'ramfs', 'devtmpfs']);

/** What a measurement takes at most. */
export interface Needs {
  readonly diskBytes: number;
  readonly memoryBytes: number;
  /** Of a GPU. */
  readonly deviceBytes?: number;
  readonly files: number;
}

/**
 * Refuses where there is no room.
 *
 * @throws KVOffloadError `KVO_PATH_UNUSABLE`, `KVO_PERMISSION`, `KVO_ARGUMENT_INVALID`, `KVO_NO_SPACE`
 */
export async function requireRoom(parent: string, needs: Needs): Promise<void> {
  if (parent.includes(',')) {
    // The setting would take it for several directories.
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `--path ${parent} holds a comma; choose a directory without`);
  }
  await requireDirectory(parent);
  const { bavail, bsize, ffree, files } = await statfs(parent);
  const inMemory = IN_MEMORY.has(findMount(parent).type);
  requireBytes(`${parent} has`, 'free', bavail * bsize, needs.diskBytes);
  const memory = needs.memoryBytes + (inMemory ? needs.diskBytes : 0);
  requireBytes(
    'this machine has',
    `of memory available${inMemory ? ' (files there are in it too)' : ''}`,
    availableMemory(),
    memory,
  );
  // Filesystems without a table of inodes say 0 of 0.
  if (files > 0 && ffree < needs.files * SLACK) {
    throw new KVOffloadError(
      'KVO_NO_SPACE',
      `${parent} has room for ${ffree} files, and ${needs.files} are needed; take fewer`,
    );
  }
}

function requireBytes(whose: string, what: string, free: number, needed: number): void {
  if (free >= needed * SLACK) return;
  const [has, wants] = [Math.floor(free / MIB), Math.ceil((needed * SLACK) / MIB)];
  throw new KVOffloadError(
    'KVO_NO_SPACE',
    `${whose} ${has} MiB ${what}, and ${wants} are needed; take fewer or smaller chunks`,
  );
}

/** Runs `work` in a new directory below `parent`. */
export async function inWorkspace<T>(parent: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(parent, 'kv-offload-bench-')).catch((error: unknown) => {
    throw outputError(parent, error);
  });
  const atExit = () => {
    rmSync(directory, { recursive: true, force: true });
  };
  process.on('exit', atExit);
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', atExit);
  }
}
