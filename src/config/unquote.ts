/** Quotes that a shell would have removed, and a container's environment file has not. */

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' };

/**
 * Text without surrounding white space and quotes, as LMCache reads environment variables: what stands in quotes is a
 * Python string literal, with escapes; where it is none (a quote of the same kind inside), the quotes alone are removed.
 * Of Python's escapes those for control characters, quotes and the backslash are known; others stay as they are.
 */
export function unquote(text: string): string {
  const trimmed = text.trim();
  const quote = trimmed.charAt(0);
  if (trimmed.length < 2 || (quote !== "'" && quote !== '"') || !trimmed.endsWith(quote)) return trimmed;
  const inner = trimmed.slice(1, -1);
  const literal = !inner.replace(/\\./gs, '').includes(quote);
  return literal ? inner.replace(/\\(.)/gs, (whole, escaped: string) => ESCAPES[escaped] ?? whole) : inner;
}
