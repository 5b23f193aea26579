/** From raw keys and values to settings: which one each key means, and which mean nothing here. */
import { KVOffloadError } from '../errors.js';
import {
  EXTRA_CONFIG,
  NEAR_MISS,
  OWN_MAP,
  findSetting,
  fullKey,
  isOtherKey,
  suggestExtraKey,
  suggestKey,
  unknownKey,
} from './names.js';
import { isMap, plainCopy, type PlainMap } from './plain.js';
import { show, withoutSecrets } from './show.js';
import type { Place, Setting } from './schema.js';
import type { UnusedSetting } from './types.js';

/** Sources by precedence; a later one wins. */
export const LEVELS = ['file', 'environment', 'override'] as const;
export type Level = (typeof LEVELS)[number];

/** One source of settings, and how it names the places inside it. A path is the keys from the root down. */
export interface Origin {
  readonly level: Level;
  /** The key at that path, as `explain()` shows it: `x.yaml:3:1 chunk_size`. */
  source(path: readonly string[]): string;
  /** Where that key, or its value, stands, as errors begin: `x.yaml:3:13`. */
  at(path: readonly string[], part: 'key' | 'value'): string;
}

/** A setting that one source gave. */
export interface Given {
  readonly setting: Setting;
  /** The spelling used. */
  readonly name: string;
  readonly value: unknown;
  readonly level: Level;
  readonly source: string;
  readonly at: string;
}

/** What all sources gave, in the order they were read. */
export class Findings {
  readonly given: Given[] = [];
  readonly unused: UnusedSetting[] = [];
  readonly warnings: string[] = [];

  addGiven(origin: Origin, setting: Setting, path: readonly string[], value: unknown): void {
    const name = path.at(-1) ?? '';
    this.given.push({
      setting,
      name,
      value,
      level: origin.level,
      source: origin.source(path),
      at: origin.at(path, 'value'),
    });
  }

  addUnused(key: string, value: unknown, source: string): void {
    this.unused.push(Object.freeze({ key, value: withoutSecrets(key, value), source }));
  }
}

/** Takes a whole configuration in the form of the YAML file. */
export function recogniseRoot(root: PlainMap, origin: Origin, findings: Findings): void {
  const flattened: [string, unknown][] = [];
  for (const [name, value] of Object.entries(root)) {
    const path = [name];
    const setting = findSetting('top', name);
    if (setting !== undefined) findings.addGiven(origin, setting, path, value);
    else if (name === EXTRA_CONFIG) recogniseExtra(extraMap(value, origin.at(path, 'value')), origin, path, findings);
    else if (name === OWN_MAP || findSetting('extra', name) !== undefined) flattened.push([name, value]);
    else if (isOtherKey(name)) findings.addUnused(name, value, origin.source(path));
    else throw unknownRootKey(name, value, origin);
  }
  if (flattened.length === 0) return;
  // LMCache's page about Weka circulates with the indentation under extra_config lost.
  recogniseExtra(Object.fromEntries(flattened), origin, [], findings);
  findings.warnings.push(flattenedWarning(flattened, origin));
}

/** Takes the entries of `extra_config`, which stand below `path`. */
export function recogniseExtra(map: PlainMap, origin: Origin, path: readonly string[], findings: Findings): void {
  for (const [name, value] of Object.entries(map)) {
    const here = [...path, name];
    const setting = findSetting('extra', name);
    if (setting !== undefined) {
      findings.addGiven(origin, setting, here, value);
    } else if (name === OWN_MAP) {
      recogniseOwn(value, origin, here, findings);
    } else {
      // LMCache's backends and plugins read keys of their own here, so only a slip of the pen is an error.
      const suggestion = suggestExtraKey(name);
      const key = fullKey('extra', name);
      if (suggestion.distance <= NEAR_MISS) throw unknownKey(origin.at(here, 'key'), key, value, suggestion);
      findings.addUnused(key, value, origin.source(here));
      if (findSetting('top', name) !== undefined) {
        findings.warnings.push(
          `${origin.source(here)}: ${name} has no effect in extra_config; it belongs at top level.`,
        );
      }
    }
  }
}

function recogniseOwn(value: unknown, origin: Origin, path: readonly string[], findings: Findings): void {
  if (value === null) return;
  if (!isMap(value)) throw notAMap(origin.at(path, 'value'), fullKey('extra', OWN_MAP), value, '{"checksums": true}');
  for (const [name, inner] of Object.entries(value)) {
    const here = [...path, name];
    const setting = findSetting('own', name);
    if (setting === undefined) throw unknownKey(origin.at(here, 'key'), fullKey('own', name), inner, suggestKey(name));
    findings.addGiven(origin, setting, here, inner);
  }
}

/** `extra_config` as a map, from a map or from JSON text; empty for null and, as in LMCache, for empty text. */
export function extraMap(value: unknown, at: string): PlainMap {
  const parsed = typeof value === 'string' ? parseJson(value, at) : value;
  if (parsed === null) return {};
  if (!isMap(parsed)) throw notAMap(at, EXTRA_CONFIG, parsed, '{"disk_io_threads": 16}');
  return parsed;
}

function parseJson(text: string, at: string): unknown {
  if (text.trim() === '') return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    // Under its own text for a name, so that one which speaks of passwords is not shown.
    const shown = show(text, text);
    throw new KVOffloadError(
      'KVO_CONFIG_PARSE',
      `${at}: ${EXTRA_CONFIG} is text but not JSON: ${shown}. Write a map such as {"disk_io_threads": 16}.`,
      error,
    );
  }
  return plainCopy(parsed, at);
}

function notAMap(at: string, key: string, value: unknown, example: string): KVOffloadError {
  return new KVOffloadError(
    'KVO_CONFIG_INVALID_VALUE',
    `${at}: ${key} is ${show(key, value)}; expected a map such as ${example}.`,
  );
}

function unknownRootKey(name: string, value: unknown, origin: Origin): KVOffloadError {
  const upper = name.toUpperCase();
  const variable = [upper, `LMCACHE_${upper}`].find((full) => findSetting('environment', full) !== undefined);
  if (variable === undefined) return unknownKey(origin.at([name], 'key'), name, value, suggestKey(name));
  return new KVOffloadError(
    'KVO_CONFIG_UNKNOWN_KEY',
    `${origin.at([name], 'key')}: ${name} (value ${show(name, value)}) may only be set through the environment, as ${variable}. Remove it here.`,
  );
}

function flattenedWarning(flattened: readonly [string, unknown][], origin: Origin): string {
  const names = flattened.map(([name]) => origin.source([name])).join(', ');
  const form = flattened.map(([name, value]) => `  ${name}: ${show(name, value)}`).join('\n');
  return `${names}: taken as part of ${EXTRA_CONFIG}, though at top level. The right form, which LMCache needs, is\n${EXTRA_CONFIG}:\n${form}`;
}

/** Takes one value that stands alone, such as an environment variable. */
export function recogniseOne(place: Place, name: string, value: unknown, origin: Origin, findings: Findings): boolean {
  const setting = findSetting(place, name);
  if (setting !== undefined) findings.addGiven(origin, setting, [name], value);
  return setting !== undefined;
}
