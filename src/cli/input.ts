/** Files that a user names to be read; `-` is standard input. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import { KVOffloadError } from '../errors.js';
import { Progress } from './progress.js';
import { errnoOf, inputError } from './system-errors.js';

const STDIN = '-';
const PIECE_BYTES = 2 ** 20;

/** What messages call it. */
export function inputName(file: string): string {
  return file === STDIN ? 'standard input' : file;
}

/** A whole text. @throws KVOffloadError `KVO_ARGUMENT_INVALID` */
export async function readText(file: string): Promise<string> {
  try {
    return await textOf(open(file));
  } catch (error) {
    throw inputError(inputName(file), error);
  }
}

/**
 * Bytes whose number is known.
 *
 * @param what - what takes so many, for the message
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID`, `KVO_SHAPE_MISMATCH` where there are more or fewer, `KVO_MEMORY_INVALID`
 */
export async function readExactly(file: string, bytes: number, what: string): Promise<Uint8Array> {
  const mismatch = (found: string) =>
    new KVOffloadError('KVO_SHAPE_MISMATCH', `${inputName(file)} has ${found}, but ${what} takes ${bytes}`);
  if (file !== STDIN) {
    const found = await stat(file).catch((error: unknown) => {
      throw inputError(file, error);
    });
    if (found.isFile() && found.size !== bytes) throw mismatch(`${found.size} bytes`);
  }
  const into = allocate(bytes, what);
  const progress = new Progress(`reading ${inputName(file)}`, bytes);
  let filled = 0;
  try {
    for await (const piece of open(file) as AsyncIterable<Buffer>) {
      if (filled + piece.length > bytes) throw mismatch('more');
      into.set(piece, filled);
      filled += piece.length;
      progress.advance(piece.length);
    }
  } catch (error) {
    throw error instanceof KVOffloadError ? error : inputError(inputName(file), error);
  } finally {
    progress.end();
  }
  if (filled < bytes) throw mismatch(`${filled} bytes`);
  return into;
}

/** @throws KVOffloadError `KVO_PATH_UNUSABLE` where it is missing or no directory, `KVO_PERMISSION` */
export async function requireDirectory(path: string): Promise<void> {
  const unusable = (what: string, cause?: unknown) =>
    new KVOffloadError(
      'KVO_PATH_UNUSABLE',
      `the directory ${path} ${what}; correct its name, or mount or make it`,
      cause,
    );
  const found = await stat(path).catch((error: unknown) => {
    const errno = errnoOf(error);
    if (errno !== 'EACCES') throw unusable(errno === 'ENOENT' ? 'does not exist' : `cannot be read (${errno})`, error);
    throw new KVOffloadError('KVO_PERMISSION', `the directory ${path} cannot be read: permission denied`, error);
  });
  if (!found.isDirectory()) throw unusable('is no directory');
}

function open(file: string): NodeJS.ReadableStream {
  return file === STDIN ? process.stdin : createReadStream(file, { highWaterMark: PIECE_BYTES });
}

function allocate(bytes: number, what: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_MEMORY_INVALID',
      `${what} takes ${bytes} bytes, more than can be held at once`,
      cause,
    );
  }
}
