/** One validator for all sources: values from YAML, JSON and the environment in, typed values out. */
import type { z as Zod, ZodType } from 'zod';
import { KVOffloadError } from '../errors.js';
import { expectation, type SettingType } from './setting-type.js';
import { show } from './show.js';
import type { Given } from './recognise.js';
import type { Setting } from './schema.js';

/** Gives the typed value of what a source gave; undefined where that says "not set". */
export type Validate = (given: Given) => unknown;

/** Builds it; zod is loaded here, and by nothing else. */
export async function createValidate(): Promise<Validate> {
  const { z } = await import('zod');
  const schemas = new Map<Setting, ZodType>();
  return (given) => {
    const { setting, name, value, at } = given;
    if (value === null && setting.nullable) return undefined;
    let schema = schemas.get(setting);
    if (schema === undefined) schemas.set(setting, (schema = schemaOf(z, setting.type)));
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `${at}: ${name} is ${show(name, value)}; expected ${expectation(setting.type)}.`,
      result.error,
    );
  };
}

const INTEGER_TEXT = /^[+-]?(0|[1-9]\d*)$/;
const NUMBER_TEXT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const LARGEST_SEED = 4_294_967_295;

function schemaOf(z: typeof Zod, type: SettingType): ZodType {
  switch (type.kind) {
    case 'boolean':
      return z.preprocess(toBoolean, z.boolean());
    case 'true':
      return z.preprocess(toBoolean, z.literal(true));
    case 'integer':
      return z.preprocess(numberFrom(INTEGER_TEXT), withBounds(z.int(), type));
    case 'number':
      return z.preprocess(numberFrom(NUMBER_TEXT), withBounds(z.number(), type));
    case 'text':
      return z.preprocess(toText, z.string());
    case 'choice': {
      const fold = (value: unknown): unknown =>
        type.ignoreCase && typeof value === 'string' ? value.toUpperCase() : value;
      return z.preprocess(fold, z.enum([...type.values]));
    }
    case 'paths':
      return z
        .string()
        .transform(splitPaths)
        .pipe(z.array(directory(z)).min(1));
    case 'disk':
      return z.string().transform(stripFileScheme).pipe(directory(z));
    case 'pattern':
      return z.preprocess(toText, z.string().regex(type.pattern));
    case 'seed':
      return z
        .string()
        .regex(/^\d+$/)
        .refine((text) => Number(text) <= LARGEST_SEED);
  }
}

function withBounds(
  schema: Zod.ZodNumber,
  { min, max }: { readonly min?: number; readonly max?: number },
): Zod.ZodNumber {
  const above = min === undefined ? schema : schema.min(min);
  return max === undefined ? above : above.max(max);
}

/** No path may hold NUL: the kernel would read only what is before it. */
function directory(z: typeof Zod): Zod.ZodString {
  return z
    .string()
    .min(1)
    .regex(/^[^\0]+$/);
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

function numberFrom(pattern: RegExp): (value: unknown) => unknown {
  return (value) => {
    if (typeof value !== 'string') return value;
    const text = value.trim();
    return pattern.test(text) ? Number(text) : value;
  };
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
