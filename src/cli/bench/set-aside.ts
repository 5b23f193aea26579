/** Old files out of the way, at no one's cost. */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, truncateSync, unlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Empties every file below a directory, and leaves them there, for the reason that {@link setAside} has. */
export function truncateBelow(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) truncateSync(join(entry.parentPath, entry.name));
  }
}

let asides = 0;

/**
 * A directory whose files are gone and whose directories are there, as in a cache that has been in use. The files are
 * set aside and emptied, not deleted: ext4 without a journal makes new files slowly (0.7 ms each was seen) where others
 * were deleted less than a minute ago, since it must not use their inodes again so soon and looks at each of them.
 *
 * Of a chunk's two names the sidecar's goes, which frees no inode: an engine that keeps the file open sees by the links
 * that it is not the chunk any more. Where a filesystem has no hard links, files are deleted after all.
 */
export function setAside(directory: string): void {
  if (!existsSync(directory)) return;
  const aside = `${directory}.old-${asides++}`;
  renameSync(directory, aside);
  mkdirSync(directory);
  const entries = readdirSync(aside, { recursive: true, withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) mkdirSync(join(directory, relative(aside, path)), { recursive: true });
    else paths.push(path);
  }
  const linked = new Set(paths.filter((path) => lstatSync(path).nlink > 1));
  for (const path of paths) {
    if (linked.has(path) && !path.endsWith('.metadata')) truncateSync(path);
    else unlinkSync(path);
  }
}
