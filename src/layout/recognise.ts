/** Which chunk a file's name stands for, whichever LMCache wrote it: several generations may lie in one directory. */
import { KVOffloadError } from '../errors.js';
import { type ChunkKey, hasKeyFields } from '../keys.js';
import type { HeaderKind } from './chunk-header.js';
import { GENERATIONS, type Generation } from './generations.js';

/** A name that was recognised. */
export interface RecognisedName {
  readonly generation: Generation;
  readonly key: ChunkKey;
  /** The key's text, in its generation's spelling. */
  readonly text: string;
}

/** What filesystems allow for one name, in UTF-16 units too: a longer one is none of a file. */
const LONGEST_NAME = 255;

/**
 * The chunk that a data file's name stands for. Of several generations that spell it so, the newest whose header is of
 * the file's kind, else the newest: 0.3.12 names its files on WEKA as 0.3.10 and 0.3.11 do, before another header.
 *
 * @param name - the name alone, without directories; any text
 * @param header - the kind of the file's header, where it is known
 * @returns undefined where no generation names a chunk so
 */
export function recogniseName(name: string, header?: HeaderKind): RecognisedName | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  let newest: RecognisedName | undefined;
  for (const generation of GENERATIONS) {
    if (newest !== undefined && generation.header !== header) continue;
    const recognised = nameOf(generation, name);
    if (recognised === undefined) continue;
    if (header === undefined || generation.header === header) return recognised;
    newest = recognised;
  }
  return newest;
}

/** What costs little is looked at first: thrown errors cost more than all the rest, and most rows refuse a name. */
function nameOf(generation: Generation, name: string): RecognisedName | undefined {
  const { escaping, key } = generation;
  const suffix = generation.suffixes.find((end) => name.endsWith(end));
  if (suffix === undefined) return undefined;
  const stem = name.slice(0, -suffix.length);
  if (!escaping.fits(stem)) return undefined;
  try {
    const text = escaping.unescape(stem);
    if (!hasKeyFields(text, key.fields)) return undefined;
    const parsed = key.parse(text);
    // A key that is spelled otherwise in a name, no lookup would find.
    return escaping.escape(key.format(parsed)) === stem ? { generation, key: parsed, text } : undefined;
  } catch (error) {
    if (error instanceof KVOffloadError) return undefined;
    throw error;
  }
}
