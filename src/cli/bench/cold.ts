/**
 * Files out of the page cache, without being root and without touching anyone else's: GNU dd asks the kernel to drop a
 * file's pages (posix_fadvise, which Node lacks), and util-linux's fincore says whether it did. A remote filesystem's or
 * a disk's own cache, nobody here can empty.
 */
import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Names a command line takes at once. */
const AT_ONCE = 200;
/** Pages that stay, of a file that counts as cold: fincore's own reading, read-ahead of others. */
const RESIDENT_AT_MOST = 0.01;

/** How it was done, or why it was not. */
export type Cold = { readonly by: string } | { readonly impossible: string };

/** Writes the files back and drops their pages. */
export async function makeCold(paths: readonly string[], bytes: number): Promise<Cold> {
  for (const path of paths) {
    const file = await open(path, 'r+');
    // Dirty pages cannot be dropped.
    await file.datasync().finally(() => file.close());
  }
  try {
    for (const path of paths) await run('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
  } catch {
    return { impossible: 'dd has no nocache flag here (GNU coreutils has)' };
  }
  const resident = await residentBytes(paths);
  if (resident === undefined) return { by: 'dd iflag=nocache; not checked, since fincore (util-linux) is missing' };
  const part = resident / (paths.length * bytes);
  if (part > RESIDENT_AT_MOST) {
    return {
      impossible: `${Math.round(part * 100)}% of the files stayed in memory: a filesystem in memory has no other place`,
    };
  }
  return { by: 'dd iflag=nocache (posix_fadvise DONTNEED), checked with fincore' };
}

/** Bytes of the files that are in the page cache; undefined where nothing tells. */
async function residentBytes(paths: readonly string[]): Promise<number | undefined> {
  try {
    let bytes = 0;
    for (let at = 0; at < paths.length; at += AT_ONCE) {
      const files = paths.slice(at, at + AT_ONCE);
      const { stdout } = await run('fincore', ['--bytes', '--noheadings', '--raw', '--output', 'RES', ...files]);
      for (const line of stdout.split('\n')) bytes += Number(line);
    }
    return bytes;
  } catch {
    return undefined;
  }
}
