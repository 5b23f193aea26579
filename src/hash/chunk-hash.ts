/** What names a chunk: the hash of its tokens and all before them. */

/**
 * A chunk's hash, as LMCache holds it: a Python int, here a bigint (builtin's may be negative), or Python bytes, here
 * their lowercase hex digits, 32 or 64 of them.
 */
export type ChunkHash = bigint | string;

const WHOLE_DIGEST = /^(?:[0-9a-f]{32}|[0-9a-f]{64})$/;

/** True for the hex digits of a whole digest, which stand for bytes. No 64-bit integer has as many. */
export function isDigest(text: string): boolean {
  return WHOLE_DIGEST.test(text);
}

/** Characters of Python's repr that are not spelled as themselves or as `\xNN`. */
const ESCAPES: Readonly<Record<number, string>> = { 0x09: '\\t', 0x0a: '\\n', 0x0d: '\\r', 0x5c: '\\\\' };
const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;

/** Python's `str()` of a hash: an int in decimal, bytes as their repr, such as `b'\x00A'`. */
export function pythonText(hash: ChunkHash): string {
  if (typeof hash === 'bigint') return hash.toString();
  const bytes = Buffer.from(hash, 'hex');
  const delimiter = bytes.includes(QUOTE) && !bytes.includes(DOUBLE_QUOTE) ? DOUBLE_QUOTE : QUOTE;
  let text = '';
  for (const byte of bytes) text += spell(byte, delimiter);
  const quote = String.fromCharCode(delimiter);
  return `b${quote}${text}${quote}`;
}

function spell(byte: number, delimiter: number): string {
  const character = String.fromCharCode(byte);
  const escaped = ESCAPES[byte] ?? (byte === delimiter ? `\\${character}` : undefined);
  if (escaped !== undefined) return escaped;
  return byte >= 0x20 && byte < 0x7f ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
}
