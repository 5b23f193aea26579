/** One validator for all sources: values from YAML, JSON and the environment in, typed values out. */
import { KVOffloadError } from '../errors.js';
import { expectation, type SettingType } from './setting-type.js';
import { show } from './show.js';
import type { Given } from './recognise.js';

/**
 * The typed value of what a source gave; undefined where that says "not set".
 *
 * @throws KVOffloadError `KVO_CONFIG_INVALID_VALUE`
 */
export function validate({ setting, name, value, at }: Given): unknown {
  if (value === null && setting.nullable) return undefined;
  const typed = typedValue(setting.type, value);
  if (typed !== undefined) return typed;
  throw new KVOffloadError(
    'KVO_CONFIG_INVALID_VALUE',
    `${at}: ${name} is ${show(name, value)}; expected ${expectation(setting.type)}.`,
  );
}

const INTEGER_TEXT = /^[+-]?(0|[1-9]\d*)$/;
const NUMBER_TEXT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const LARGEST_SEED = 4_294_967_295;

/** The value as its setting holds it; undefined where it is none of that type, or out of bounds. */
function typedValue(type: SettingType, value: unknown): unknown {
  switch (type.kind) {
    case 'boolean':
      return only(toBoolean(value), (is) => typeof is === 'boolean');
    case 'true':
      return only(toBoolean(value), (is) => is === true);
    case 'integer':
      return only(numberFrom(INTEGER_TEXT, value), (is) => Number.isSafeInteger(is) && isWithin(is, type));
    case 'number':
      return only(numberFrom(NUMBER_TEXT, value), (is) => Number.isFinite(is) && isWithin(is, type));
    case 'text':
      return only(toText(value), (is) => typeof is === 'string');
    case 'choice':
      return only(type.ignoreCase && typeof value === 'string' ? value.toUpperCase() : value, (is) =>
        type.values.some((one) => one === is),
      );
    case 'paths':
      return typeof value === 'string'
        ? only(splitPaths(value), (paths) => paths.length > 0 && paths.every(isDirectory))
        : undefined;
    case 'disk':
      return typeof value === 'string' ? only(stripFileScheme(value), isDirectory) : undefined;
    case 'pattern':
      return only(toText(value), (is) => typeof is === 'string' && type.pattern.test(is));
    case 'seed':
      return only(value, (is) => typeof is === 'string' && /^\d+$/.test(is) && Number(is) <= LARGEST_SEED);
  }
}

function only<T>(value: T, fits: (value: T) => boolean): T | undefined {
  return fits(value) ? value : undefined;
}

function isWithin(
  value: unknown,
  { min = -Infinity, max = Infinity }: { readonly min?: number; readonly max?: number },
) {
  return typeof value === 'number' && value >= min && value <= max;
}

/** No path may hold NUL: the kernel would read only what is before it. */
function isDirectory(path: string): boolean {
  return path !== '' && !path.includes('\0');
}

/** Unlike LMCache, for which every text but true and 1 is false, a text that is no boolean stays one and is refused. */
function toBoolean(value: unknown): unknown {
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  switch (String(value).trim().toLowerCase()) {
    case 'true':
    case '1':
      return true;
    case 'false':
    case '0':
      return false;
    default:
      return value;
  }
}

function numberFrom(pattern: RegExp, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.trim();
  return pattern.test(text) ? Number(text) : value;
}

/** YAML reads a name of digits as a number. */
function toText(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value;
}

function splitPaths(list: string): string[] {
  return list
    .split(',')
    .map((path) => path.trim())
    .filter((path) => path !== '');
}

/** `file://` is removed as LMCache does it: only before a path that holds a slash. */
function stripFileScheme(path: string): string {
  return /^file:\/\/.*\//.test(path) ? path.slice('file://'.length) : path;
}
