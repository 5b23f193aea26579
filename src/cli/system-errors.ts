/** Failed system calls on files that the user named → the library's errors. */
import { type ErrorCode, KVOffloadError } from '../errors.js';

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'no space left',
  EDQUOT: 'the quota is used up',
  EROFS: 'its filesystem is read-only',
};

const OUTPUT_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'KVO_ARGUMENT_INVALID',
  EISDIR: 'KVO_ARGUMENT_INVALID',
  ENOTDIR: 'KVO_ARGUMENT_INVALID',
  EACCES: 'KVO_PERMISSION',
  EPERM: 'KVO_PERMISSION',
  EROFS: 'KVO_READ_ONLY',
  ENOSPC: 'KVO_NO_SPACE',
  EDQUOT: 'KVO_NO_SPACE',
};

/** A file given to be read that cannot be. */
export function inputError(name: string, cause: unknown): KVOffloadError {
  return new KVOffloadError('KVO_ARGUMENT_INVALID', `cannot read ${name}: ${reason(cause)}`, cause);
}

/** A file that cannot be written. */
export function outputError(name: string, cause: unknown): KVOffloadError {
  const code = OUTPUT_CODES[errnoOf(cause)] ?? 'KVO_IO';
  return new KVOffloadError(code, `cannot write ${name}: ${reason(cause)}`, cause);
}

/** `ENOENT` of a failed system call, else an empty text. */
export function errnoOf(error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : '';
}

function reason(error: unknown): string {
  return WORDS[errnoOf(error)] ?? (error instanceof Error ? error.message : String(error));
}
