/** Values in messages and lists: short, and without passwords. */

const LONGEST = 80;

/** Names under which LMCache's backends keep credentials, in `extra_config` and in variables of their own. */
const SECRET_NAME =
  /password|passwd|secret|(^|_)token(_|$)|credential|connection_string|(access|account|api|private)_key/i;
/** user:password@ of a URL. */
const URL_CREDENTIALS = /\/\/[^/@\s]*@/g;

/** A copy of a plain value in which credentials, by the names above or inside URLs, are `***`. */
export function withoutSecrets(name: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return SECRET_NAME.test(name) ? '***' : value.replace(URL_CREDENTIALS, '//***@');
  }
  // JSON has neither infinities nor NaN, and LMCache has a default of .inf.
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return Object.freeze(value.map((item: unknown) => withoutSecrets(name, item)));
  if (typeof value === 'object' && value !== null) {
    return Object.freeze(
      Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(key, item)])),
    );
  }
  return value;
}

/** A value as a message quotes it: JSON, cut where it is long. */
export function show(name: string, value: unknown): string {
  const text = JSON.stringify(withoutSecrets(name, value));
  return cut(text);
}

/** Text that a message can hold. */
export function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
