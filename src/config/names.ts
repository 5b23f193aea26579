/** How settings are found by name and named to the user. */
import { KVOffloadError } from '../errors.js';
import { LMCACHE_OTHER_KEYS } from './lmcache-keys.js';
import { nearest } from './nearest.js';
import { cut, show } from './show.js';
import { SETTINGS, type Place, type Setting } from './schema.js';

/** The map of further settings in LMCache's configuration. */
export const EXTRA_CONFIG = 'extra_config';
/** Our own part of {@link EXTRA_CONFIG}. */
export const OWN_MAP = 'kv_offload';

/** The rule for names that may belong to someone else: this many edits from one of ours is a slip of the pen. */
export const NEAR_MISS = 2;

const byName = new Map<string, Setting>();
for (const setting of SETTINGS) for (const name of setting.names) byName.set(`${setting.place} ${name}`, setting);

/** The setting of that name at that place. */
export function findSetting(place: Place, name: string): Setting | undefined {
  return byName.get(`${place} ${name}`);
}

/** True for a key of LMCache's configuration that means nothing here. */
export function isOtherKey(name: string): boolean {
  return Object.hasOwn(LMCACHE_OTHER_KEYS, name);
}

/** A setting's name as it is written out in full. */
export function fullKey(place: Place, name: string): string {
  if (place === 'extra') return `${EXTRA_CONFIG}.${name}`;
  if (place === 'own') return `${EXTRA_CONFIG}.${OWN_MAP}.${name}`;
  return name;
}

/** The environment variable of a setting under one of its names; undefined for those of `extra_config`. */
export function variableOf(place: Place, name: string): string | undefined {
  if (place === 'top') return `LMCACHE_${name.toUpperCase()}`;
  if (place === 'own') return `KV_OFFLOAD_${name.toUpperCase()}`;
  return place === 'environment' ? name : undefined;
}

/** Every name a user may have meant, with the way to write it; `write` gives undefined for what does not count. */
function spellings(write: (place: Place, name: string) => string | undefined): Map<string, string> {
  const known = new Map<string, string>();
  const add = (place: Place, name: string): void => {
    const written = write(place, name);
    if (written !== undefined && !known.has(name)) known.set(name, written);
  };
  for (const { place, names } of SETTINGS) for (const name of names) add(place, name);
  add('top', EXTRA_CONFIG);
  add('extra', OWN_MAP);
  for (const name of Object.keys(LMCACHE_OTHER_KEYS)) add('top', name);
  return known;
}

export interface Suggestion {
  /** As the user should write it. */
  readonly written: string;
  readonly distance: number;
}

function suggest(name: string, known: Map<string, string>): Suggestion {
  const best = nearest(name, known.keys());
  return { written: known.get(best?.name ?? '') ?? '', distance: best?.distance ?? Infinity };
}

/** The nearest key of a YAML file, wherever in it that belongs. */
export function suggestKey(name: string): Suggestion {
  return suggest(
    name,
    spellings((place, key) => (place === 'environment' ? undefined : fullKey(place, key))),
  );
}

/** The nearest key of `extra_config`. */
export function suggestExtraKey(name: string): Suggestion {
  return suggest(
    name,
    spellings((place, key) => (place === 'extra' ? fullKey(place, key) : undefined)),
  );
}

/** The nearest `LMCACHE_` variable to the one of that name (without the prefix). */
export function suggestVariable(name: string): Suggestion {
  const known = spellings((place, key) => {
    if (place === 'top') return variableOf(place, key);
    return place === 'extra' ? `LMCACHE_EXTRA_CONFIG='{"${key}": …}'` : undefined;
  });
  known.set('config_file', 'LMCACHE_CONFIG_FILE');
  known.set('use_experimental', 'LMCACHE_USE_EXPERIMENTAL');
  return suggest(name.toLowerCase(), known);
}

/** The nearest variable to an unknown `KV_OFFLOAD_` one, which may be meant for LMCache's part. */
export function suggestOwnVariable(name: string): Suggestion {
  const known = spellings((place, key) => {
    if (place === 'extra') return `LMCACHE_EXTRA_CONFIG='{"${key}": …}'`;
    return place === 'environment' ? undefined : variableOf(place, key);
  });
  return suggest(name.toLowerCase(), known);
}

/** The error for a name nobody knows. */
export function unknownKey(at: string, key: string, value: unknown, suggestion: Suggestion): KVOffloadError {
  return new KVOffloadError(
    'KVO_CONFIG_UNKNOWN_KEY',
    `${at}: unknown setting ${cut(key)} (value ${show(key, value)}); the nearest known one is ${suggestion.written}. ` +
      'Correct or remove it.',
  );
}
