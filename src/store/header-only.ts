/** Looking at a chunk file without its payload. */
import { type HeaderKind, recogniseName } from '../layout/index.js';
import type { Load } from '../plan.js';

/** A read of a file's header alone: without segments, the outcome is `size-mismatch` with the file's size. */
export function headerOnly(path: string): Load {
  return { path, segments: [], sums: false };
}

/** What a data file's name says; nothing where it names no chunk. */
export interface NamedFile {
  /** The text of its key, as the LMCache that names files so spells it. */
  readonly key?: string;
  /** The releases of that LMCache, such as `0.4.3-0.5.6`. */
  readonly generation?: string;
}

/**
 * What the name of a data file says, of whichever generation.
 *
 * @param header - the kind of its header, where that was read: it tells apart generations that name files alike
 */
export function namedBy(path: string, header?: HeaderKind): NamedFile {
  const recognised = recogniseName(path.slice(path.lastIndexOf('/') + 1), header);
  return recognised === undefined ? {} : { key: recognised.text, generation: recognised.generation.name };
}

/** The text of the key that a data file's name stands for, or undefined where it stands for none. */
export function keyOf(path: string): string | undefined {
  return namedBy(path).key;
}
