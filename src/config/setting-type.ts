/** The types a setting can have, as data: the validator is built from it, and so is what errors and documents say. */

export type SettingType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer' | 'number'; readonly min?: number; readonly max?: number }
  | { readonly kind: 'text' }
  | { readonly kind: 'choice'; readonly values: readonly [string, ...string[]]; readonly ignoreCase?: true }
  /** A comma-separated list of directories. */
  | { readonly kind: 'paths' }
  /** A directory that may be written as `file://…/`. */
  | { readonly kind: 'disk' }
  | { readonly kind: 'pattern'; readonly pattern: RegExp; readonly name: string; readonly expected: string }
  /** A decimal number below 2^32, kept as text, since its digits are what is hashed. */
  | { readonly kind: 'seed' }
  /** A switch that can only be on. */
  | { readonly kind: 'true'; readonly why: string };

/** The type in a word or two. */
export function typeName(type: SettingType): string {
  switch (type.kind) {
    case 'paths':
      return 'paths, comma-separated';
    case 'disk':
      return 'path';
    case 'choice':
      return 'one of';
    case 'pattern':
      return type.name;
    case 'seed':
      return 'decimal text';
    case 'true':
      return 'boolean';
    default:
      return type.kind;
  }
}

/** What values are allowed, beyond the type; empty where all are. */
export function boundsText(type: SettingType): string {
  switch (type.kind) {
    case 'integer':
    case 'number':
      if (type.min !== undefined && type.max !== undefined) return `${type.min} to ${type.max}`;
      return type.min === undefined ? '' : `at least ${type.min}`;
    case 'choice':
      return type.values.join(', ');
    case 'seed':
      return '0 to 4294967295';
    case 'true':
      return 'true';
    default:
      return '';
  }
}

/** The rest of a sentence that begins with "expected". */
export function expectation(type: SettingType): string {
  const bounds = boundsText(type);
  switch (type.kind) {
    case 'boolean':
      return 'true, false, 1 or 0';
    case 'integer':
      return bounds === '' ? 'an integer' : `an integer, ${bounds}`;
    case 'number':
      return bounds === '' ? 'a number' : `a number, ${bounds}`;
    case 'text':
      return 'text';
    case 'choice':
      return type.values.length === 1 ? bounds : `one of ${bounds}`;
    case 'paths':
      return 'a directory, or several with commas between';
    case 'disk':
      return 'a directory';
    case 'pattern':
      return type.expected;
    case 'seed':
      return 'random, or a decimal number from 0 to 4294967295';
    case 'true':
      return `true: ${type.why}`;
  }
}
