/** Trees of nodes, written for one test. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { memoryDirectory } from '../../support/directories.js';

/** What is at a path of a tree: a file's text, a symlink, or an empty directory. */
export type Entry = string | { readonly to: string } | { readonly directory: true };
export type Tree = Readonly<Record<string, Entry>>;

/** Writes a tree that lives as long as the test; gives its directory. */
export function writeTree(files: Tree): string {
  const root = memoryDirectory();
  for (const [path, content] of Object.entries(files)) {
    const place = join(root, path);
    mkdirSync(dirname(place), { recursive: true });
    if (typeof content === 'string') writeFileSync(place, content);
    else if ('to' in content) symlinkSync(content.to, place);
    else mkdirSync(place, { recursive: true });
  }
  return root;
}
