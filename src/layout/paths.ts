/** Keys → paths below a cache directory, and back. */
import { KVOffloadError } from '../errors.js';
import { type ChunkHash, pythonText } from '../hash/index.js';
import { type ChunkKey, type KeyIdentity, formatHash } from '../keys.js';
import { type Generation, SIDECAR_SUFFIX } from './generations.js';
import { jsonText } from './header-extras.js';

/** What filesystems allow for one name. */
const LONGEST_NAME = 255;

/** Names the chunks of one prompt, which differ in their hash alone: what they share is spelled once. */
export interface ChunkNamer {
  /** The key's text. */
  key(chunkHash: ChunkHash): string;
  /** The key's text in quotes, as headers spell it. */
  jsonKey(chunkHash: ChunkHash): string;
  /** The data file's path. @throws KVOffloadError `KVO_KEY_TOO_LONG` */
  path(chunkHash: ChunkHash): string;
}

/**
 * A namer of chunks below one base path.
 *
 * @param suffix - end of a data file's name: a generation's `suffix` of the path's filesystem type
 * @throws KVOffloadError `KVO_KEY_INVALID` where the identity cannot be spelled
 */
export function chunkNamer(generation: Generation, base: string, identity: KeyIdentity, suffix: string): ChunkNamer {
  const { before, after } = generation.key.parts(identity);
  const { escape } = generation.escaping;
  const start = escape(before);
  const end = escape(after) + suffix;
  const [jsonStart, jsonEnd] = [jsonText(before).slice(0, -1), jsonText(after).slice(1)];
  const fixedBytes = Buffer.byteLength(start) + Buffer.byteLength(end) + SIDECAR_SUFFIX.length;
  const root = base.endsWith('/') ? base : `${base}/`;
  return {
    key: (chunkHash) => before + formatHash(chunkHash) + after,
    jsonKey: (chunkHash) => jsonStart + formatHash(chunkHash) + jsonEnd,
    path(chunkHash) {
      const hash = formatHash(chunkHash);
      if (fixedBytes + hash.length > LONGEST_NAME) {
        throw new KVOffloadError(
          'KVO_KEY_TOO_LONG',
          `key ${JSON.stringify(before + hash + after)} makes a sidecar name of ${fixedBytes + hash.length} bytes, and file names have at most ${LONGEST_NAME}; shorten the model name or the tags`,
        );
      }
      return root + directoriesOf(chunkHash) + start + hash + end;
    },
  };
}

/** The data file's path of one chunk. @throws as {@link chunkNamer} and its `path` do */
export function chunkPath(generation: Generation, base: string, key: ChunkKey, suffix: string): string {
  return chunkNamer(generation, base, key, suffix).path(key.chunkHash);
}

/**
 * Two levels of directories, from Python's text of the hash: an integer in decimal with its sign, though the file's name
 * carries it in hex; bytes as `b'` and what follows. Slashes among the latter are left out: one that leads, of 1 digest
 * in 256, Python's path join takes for the filesystem's root, and nothing here may lie outside its base.
 */
function directoriesOf(chunkHash: ChunkHash): string {
  const text = pythonText(chunkHash);
  const below = text.slice(2, 4).replaceAll('/', '');
  return below === '' ? `${text.slice(0, 2)}/` : `${text.slice(0, 2)}/${below}/`;
}
