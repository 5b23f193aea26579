/** The one interface through which readiness sees a node: this machine, or a tree recorded of one. */
import type { Environment } from '../config/index.js';

/** What was asked for, or why there is none: `ENOENT`, `EACCES`, …; `UNKNOWN` where a recorded tree can't tell. */
export type Answer<T> = { readonly value: T } | { readonly errno: string };

/** What a path names, symlinks followed. */
export type FileKind = 'file' | 'directory' | 'device' | 'other';

/** Room on a filesystem, in bytes; `available` is what this user may still write. */
export interface Space {
  readonly total: number;
  readonly available: number;
}

/** The IPv4 address of a network interface. */
export interface InterfaceAddress {
  readonly name: string;
  readonly address: string;
}

/** A cuFile library that was found. */
export interface CufileLibrary {
  readonly path: string;
  /** `1.15.1`; undefined where neither the library nor its name tells. */
  readonly version: string | undefined;
}

/** Nothing here throws for what a node has or lacks; that is the answer. Paths are absolute. */
export interface System {
  /** Directory of the recorded tree; undefined: this machine. */
  readonly root: string | undefined;
  readonly env: Environment;
  /** A text file. What is longer than 4 MiB is cut there. */
  readText(path: string): Promise<Answer<string>>;
  /** Names in a directory, sorted. */
  list(path: string): Promise<Answer<readonly string[]>>;
  kind(path: string): Promise<Answer<FileKind>>;
  /** The text of a symlink. */
  readlink(path: string): Promise<Answer<string>>;
  /** The path without symlinks. */
  realpath(path: string): Promise<Answer<string>>;
  /** Whether this process may list, enter and write a directory. */
  writable(path: string): Promise<Answer<true>>;
  space(path: string): Promise<Answer<Space>>;
  /** IPv4 addresses of the interfaces that are up. */
  addresses(): Promise<Answer<readonly InterfaceAddress[]>>;
  /** Standard output of a program, whatever its exit status; `env` adds to its variables. A bare name is of PATH. */
  run(program: string, args: readonly string[], env?: Environment): Promise<Answer<string>>;
  /** `ETIMEDOUT` where the filesystem below a path doesn't answer: nothing else may then be asked of it. */
  answers(path: string): Promise<Answer<true>>;
  /** The cuFile library that would be loaded; `configured` is `kv_offload.libcufile_path`. */
  cufileVersion(configured: string | undefined): Promise<Answer<CufileLibrary>>;
}

/** The value, or undefined. */
export function valueOf<T>(answer: Answer<T>): T | undefined {
  return 'value' in answer ? answer.value : undefined;
}

/** Whether there is no such thing, as opposed to: it can't be told. */
export function isAbsent(answer: Answer<unknown>): boolean {
  return 'errno' in answer && (answer.errno === 'ENOENT' || answer.errno === 'ENOTDIR');
}

/** Why there is no value, in words. */
export function reasonOf(answer: { readonly errno: string }): string {
  return REASONS[answer.errno] ?? answer.errno;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'not there',
  ENOTDIR: 'not there',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'read-only filesystem',
  ELOOP: 'too many symlinks',
  ETIMEDOUT: 'no answer',
  UNKNOWN: 'not told by a recorded tree',
};
