/** Reading what a header says: values of unknown type, and errors that quote them. */

/** Throws `KVO_HEADER_INVALID` with what is wrong; the caller adds where. */
export type Fail = (what: string) => never;
/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** A value that must be a JSON object. */
export function objectOf(value: unknown, name: string, fail: Fail): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(`${name} is ${show(value)}, no object`);
  return value as Fields;
}

/** A value for a message: short, and never deeper than one list, since it may be nested thousands of times. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(showItem).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  return showItem(value);
}

function showItem(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

/** Parses JSON of a header, in a message called `name`. */
export function parseJson(json: string, name: string, fail: Fail): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    return fail(`${name} does not parse (${error instanceof Error ? error.message.slice(0, 120) : 'unknown'})`);
  }
}
