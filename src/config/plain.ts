/** Values as YAML and JSON have them: text, numbers, booleans, null, lists and maps. */
import { KVOffloadError } from '../errors.js';

/** Deeper than any configuration, shallower than any stack. */
const DEEPEST = 64;
/** More than any configuration; stops what refers to itself many times over. */
const MOST = 100_000;

export type PlainMap = Readonly<Record<string, unknown>>;

export function isMap(value: unknown): value is PlainMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of no class: its prototype is null or an Object.prototype, perhaps another realm's. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * A copy that holds plain values only. Map entries that are undefined are left out.
 *
 * @param at - where the value came from, for the error
 * @throws KVOffloadError KVO_CONFIG_INVALID_VALUE for anything else, or for what is too deep or too large
 */
export function plainCopy(value: unknown, at: string): unknown {
  let count = 0;
  const refuse = (what: string): KVOffloadError =>
    new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `${at}: settings hold ${what}; expected text, numbers, booleans, lists and maps.`,
    );
  const copy = (item: unknown, depth: number): unknown => {
    if (depth > DEEPEST) throw refuse(`values nested deeper than ${DEEPEST}`);
    if (++count > MOST) throw refuse(`more than ${MOST} values`);
    switch (typeof item) {
      case 'string':
      case 'number':
      case 'boolean':
        return item;
      case 'bigint':
        // As text it is checked like the text of an environment variable.
        return item.toString();
      case 'object':
        break;
      default:
        throw refuse(`a value of type ${typeof item}`);
    }
    if (item === null) return null;
    if (Array.isArray(item)) return item.map((inner: unknown) => copy(inner, depth + 1));
    if (!isPlain(item)) throw refuse('an object that is not a plain map');
    // fromEntries defines own properties, so that a key such as __proto__ stays a key.
    return Object.fromEntries(
      Object.entries(item)
        .filter(([, inner]) => inner !== undefined)
        .map(([key, inner]: [string, unknown]) => [key, copy(inner, depth + 1)]),
    );
  };
  return copy(value, 0);
}
