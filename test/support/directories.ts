/** Cache directories of tests, and what is in them. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty directory that lives as long as the test. */
export function temporaryDirectory(where = tmpdir()): string {
  const directory = mkdtempSync(join(where, 'kvo-test-'));
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** The same in memory, where there is a place for it: for tests of many files. */
export function memoryDirectory(): string {
  return temporaryDirectory(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

/** Every file below a directory, relative to it, sorted. */
export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}

const SUFFIX = '.kvcache.safetensors';

/** The data files below a directory, absolute. */
export function dataFiles(directory: string): string[] {
  return filesBelow(directory)
    .filter((file) => file.endsWith(SUFFIX) || file.endsWith('.weka1'))
    .map((file) => join(directory, file));
}

/** Files that are neither data nor sidecars: temporary ones that were left behind. */
export function leftovers(directory: string): string[] {
  return filesBelow(directory).filter((file) => !/(\.kvcache\.safetensors|\.weka1)(\.metadata)?$/.test(file));
}

/** The only data file below a directory. */
export function onlyDataFile(directory: string): string {
  const [file, ...others] = dataFiles(directory);
  if (file === undefined || others.length > 0) throw new Error(`${others.length + (file ? 1 : 0)} data files, not one`);
  return file;
}

/** Names under which a file is linked. */
export function linkCount(file: string): number {
  return statSync(file).nlink;
}
