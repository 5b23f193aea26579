/** Filesystems made for one test. */
import { spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './directories.js';

/**
 * A tmpfs with such options, such as `size=64k`; undefined where this process may not mount, which is said aloud.
 * `mode` is what the directory may be used for by others.
 */
export function tinyFilesystem(options: string): string | undefined {
  const directory = temporaryDirectory();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'kvo-test', directory], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    const why = mounted.error?.message ?? mounted.stderr.trim();
    process.stderr.write(`NOT TESTED on a real filesystem of ${options}, only by faults: mount refuses (${why})\n`);
    return undefined;
  }
  onTestFinished(() => {
    spawnSync('umount', ['--lazy', directory]);
  });
  return directory;
}

/** Mounts it anew with other options, such as `ro`. */
export function remount(directory: string, options: string): void {
  const { status, stderr } = spawnSync('mount', ['-o', `remount,${options}`, directory], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`remount of ${directory} failed: ${stderr}`);
}
