/** Trees of nodes, written for one test. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryDirectory } from '../../support/directories.js';

/** Files by their path in the tree: a text, or `{ to }` for a symlink. */
export type Tree = Readonly<Record<string, string | { readonly to: string }>>;

/** Writes a tree that lives as long as the test; gives its directory. */
export function writeTree(files: Tree): string {
  const root = temporaryDirectory();
  for (const [path, content] of Object.entries(files)) {
    const place = join(root, path);
    mkdirSync(dirname(place), { recursive: true });
    if (typeof content === 'string') writeFileSync(place, content);
    else symlinkSync(content.to, place);
  }
  return root;
}
