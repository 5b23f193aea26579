/** A file that is written whole or not at all. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KVOffloadError } from '../errors.js';
import { Progress } from './progress.js';
import { errnoOf, outputError } from './system-errors.js';

const PIECE_BYTES = 2 ** 20;

/** Where a file is to be written, found fit before there is anything to write. */
export interface OutputFile {
  readonly path: string;
  /** Permissions of the file it replaces. */
  readonly mode?: number;
  /** A device or pipe is written to as it is: replacing it would be a surprise. */
  readonly special: boolean;
}

/**
 * Looks at a path that the user gave.
 *
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` where it is a directory, or its directory is missing
 */
export async function outputFile(given: string): Promise<OutputFile> {
  try {
    // Through a symlink, so that what it points at is replaced and not the link.
    const path = await realpath(given);
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' });
    return { path, mode: found.mode & 0o7777, special: !found.isFile() };
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw outputError(given, error);
  }
  const directory = dirname(given);
  const found = await stat(directory).catch((error: unknown) => {
    throw outputError(given, error);
  });
  if (!found.isDirectory()) throw new KVOffloadError('KVO_ARGUMENT_INVALID', `${directory} is no directory`);
  return { path: given, special: false };
}

/** Writes it. @throws KVOffloadError `KVO_NO_SPACE`, `KVO_PERMISSION`, `KVO_READ_ONLY`, `KVO_IO` */
export async function writeOutput(file: OutputFile, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const { path, special, mode } = file;
  try {
    if (special) {
      await writeTo(await open(path, 'w'), path, bytes, signal);
      return;
    }
    const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomUUID()}.tmp`);
    try {
      const handle = await open(temporary, 'wx');
      if (mode !== undefined) await handle.chmod(mode);
      await writeTo(handle, path, bytes, signal);
      await rename(temporary, path);
    } finally {
      // Gone already where all went well.
      await rm(temporary, { force: true });
    }
  } catch (error) {
    signal.throwIfAborted();
    throw outputError(path, error);
  }
}

async function writeTo(handle: FileHandle, path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const progress = new Progress(`writing ${path}`, bytes.byteLength);
  try {
    for (let at = 0; at < bytes.byteLength;) {
      signal.throwIfAborted();
      const { bytesWritten } = await handle.write(bytes, at, Math.min(PIECE_BYTES, bytes.byteLength - at));
      at += bytesWritten;
      progress.advance(bytesWritten);
    }
  } finally {
    progress.end();
    await handle.close();
  }
}
