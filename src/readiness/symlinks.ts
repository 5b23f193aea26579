/** Resolving symlinks one component at a time, by whatever reads a link. */
import { dirname, join } from 'node:path/posix';
import { type Answer } from './system.js';

const MOST_LINKS = 40;

/**
 * The path without symlinks, as far as `readlink` knows of any; that it exists is not looked at. `..` above the root
 * stays at the root, so that a recorded tree is never left.
 *
 * @param readlink - the text of a symlink, undefined for what is none
 * @param onLink - told of each symlink on the way: its own path, links before it resolved, and its text
 */
export async function resolveLinks(
  path: string,
  readlink: (path: string) => Promise<string | undefined>,
  onLink?: (path: string, text: string) => void,
): Promise<Answer<string>> {
  let real = '/';
  let links = 0;
  const left = path.split('/');
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      real = dirname(real);
      continue;
    }
    const next = join(real, name);
    const text = await readlink(next);
    if (text === undefined) {
      real = next;
      continue;
    }
    if (++links > MOST_LINKS) return { errno: 'ELOOP' };
    onLink?.(next, text);
    if (text.startsWith('/')) real = '/';
    left.unshift(...text.split('/'));
  }
  return { value: real };
}
