/** The files of a cache directory, from outside the library. */
import { closeSync, existsSync, mkdirSync, openSync, readSync, readdirSync, renameSync, truncateSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Pattern } from './pattern.js';

const HEADER = 4096;

let asides = 0;

/**
 * A directory whose files are gone and whose directories are there, as in a cache that has been in use. The files are
 * set aside and emptied, not deleted: ext4 without a journal makes new files slowly (0.7 ms each was seen) where others
 * were deleted less than a minute ago, since it must not use their inodes again so soon and looks at each of them.
 */
export function emptied(directory: string): void {
  if (!existsSync(directory)) return;
  const aside = `${directory}.old-${asides++}`;
  renameSync(directory, aside);
  mkdirSync(directory);
  for (const entry of readdirSync(aside, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) mkdirSync(join(directory, relative(aside, path)), { recursive: true });
    else truncateSync(path);
  }
}

/** Whether below `directory` lie so many data files, of every chunk one, and each with the chunk's bytes. */
export function filesHold(directory: string, pattern: Pattern, chunks: number): boolean {
  const seen = new Set<number>();
  const bytes = Buffer.alloc(pattern.chunkBytes);
  for (const path of filesBelow(directory)) {
    if (!path.endsWith('.safetensors')) continue;
    const fd = openSync(path, 'r');
    try {
      if (readSync(fd, bytes, 0, bytes.length, HEADER) !== bytes.length) return false;
    } finally {
      closeSync(fd);
    }
    const chunk = pattern.chunkOf(bytes);
    if (!pattern.holds(bytes, chunk)) return false;
    seen.add(chunk);
  }
  return seen.size === chunks;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
