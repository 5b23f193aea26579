/**
 * LMCache changed how it lays out a cache directory several times; each generation is a row. Rows differ in their
 * cells only: no code outside asks which row it has.
 */
import { isSince } from '../config/lmcache-version.js';
import { type ChunkKey, type KeyFields, type KeyIdentity, formatKey, keyParts, parseKey } from '../keys.js';
import type { HeaderKind } from './chunk-header.js';
import { type Escaping, QUOTED, UNDERSCORED } from './escaping.js';

/** How one generation lays out a cache directory. */
export interface Generation {
  /** The LMCache versions that write it. */
  readonly name: string;
  /** The first of them. */
  readonly since: string;
  /** Fields of a key and their order. */
  readonly key: {
    readonly fields: KeyFields;
    /** A key's text before and after its hash. */
    readonly parts: (identity: KeyIdentity) => { before: string; after: string };
    readonly parse: (text: string) => ChunkKey;
    readonly format: (key: ChunkKey) => string;
  };
  /** How a key becomes a file name. */
  readonly escaping: Escaping;
  /** What stands before the payload. */
  readonly header: HeaderKind;
  /** The end of a data file's name by the type of its filesystem. */
  readonly suffix: (filesystemType: string) => string;
  /** Every suffix that readers look for. */
  readonly suffixes: readonly string[];
}

const WEKA_SUFFIX = '.weka1';
const PLAIN_SUFFIX = '.kvcache.safetensors';

/** Every end of a data file's name, of all generations. */
export const DATA_SUFFIXES: readonly string[] = [PLAIN_SUFFIX, WEKA_SUFFIX];

/** What LMCache appends to a data file's name to name its sidecar. */
export const SIDECAR_SUFFIX = '.metadata';

/** `.weka1` on exactly `wekafs`, else `.kvcache.safetensors`. */
export function suffixFor(filesystemType: string): string {
  return filesystemType === 'wekafs' ? WEKA_SUFFIX : PLAIN_SUFFIX;
}

/** LMCache's Weka backend of 2025 wrote one suffix wherever it ran, its GDS backend goes by the filesystem. */
const WEKA_BACKEND = { header: 'binary', suffix: () => WEKA_SUFFIX, suffixes: [WEKA_SUFFIX] } as const;
const GDS_BACKEND = { header: 'json', suffix: suffixFor, suffixes: DATA_SUFFIXES } as const;

const keyOf = (fields: KeyFields): Generation['key'] => ({
  fields,
  parts: (identity) => keyParts(identity, fields),
  parse: (text) => parseKey(text, fields),
  format: (key) => formatKey(key, fields),
});

const PLAIN_KEY = keyOf({ dtype: true });
const LED_KEY = keyOf({ lead: 'vllm', dtype: true });
const UNTYPED_KEY = keyOf({ lead: 'vllm', dtype: false });

/** LMCache 0.4.3 to 0.5.6, today's. */
export const CURRENT_GENERATION: Generation = {
  name: '0.4.3-0.5.6',
  since: '0.4.3',
  key: PLAIN_KEY,
  escaping: QUOTED,
  ...GDS_BACKEND,
};

/** Every generation, the newest first. */
export const GENERATIONS: readonly Generation[] = [
  CURRENT_GENERATION,
  { name: '0.3.13-0.4.2', since: '0.3.13', key: PLAIN_KEY, escaping: UNDERSCORED, ...GDS_BACKEND },
  { name: '0.3.12', since: '0.3.12', key: LED_KEY, escaping: UNDERSCORED, ...GDS_BACKEND },
  { name: '0.3.10-0.3.11', since: '0.3.10', key: LED_KEY, escaping: UNDERSCORED, ...WEKA_BACKEND },
  { name: '0.3.6-0.3.9', since: '0.3.6', key: UNTYPED_KEY, escaping: UNDERSCORED, ...WEKA_BACKEND },
];

/** The generation that an LMCache release writes. @param version - as the setting `lmcache_version` takes it */
export function generationOf(version: string): Generation {
  return GENERATIONS.find(({ since }) => isSince(version, since)) ?? CURRENT_GENERATION;
}
