/** Setting values in JSON with comments, leaving every other byte of the text as it is. */
import { KVOffloadError } from '../errors.js';
import { type JsonNode, parseJsonc, placeOf } from './jsonc.js';

const INDENT = '    ';

/** A value that text is made of. */
export type JsonValue = string | number | boolean | readonly string[];

/**
 * The text with one value set, objects on the way made where they are missing. Of a key that is given twice both are set.
 *
 * @param path - keys from the root
 * @param name - what messages call the text
 * @throws KVOffloadError `KVO_CONFIG_PARSE` where the text does not parse, or something on the way is no object
 */
export function setJsonc(text: string, path: readonly string[], value: JsonValue, name: string): string {
  const edits: Edit[] = [];
  place(parseJsonc(text, name), path, 0);
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce((edited, { start, end, insert }) => edited.slice(0, start) + insert + edited.slice(end), text);

  function place(node: JsonNode, keys: readonly string[], depth: number): void {
    const [key, ...rest] = keys;
    if (key === undefined) {
      edits.push({ start: node.start, end: node.end, insert: written(value) });
      return;
    }
    if (node.kind !== 'object') {
      const where = depth === 0 ? 'the file' : `"${path.slice(0, depth).join('.')}"`;
      throw new KVOffloadError('KVO_CONFIG_PARSE', `${name}:${placeOf(text, node.start)}: ${where} is no object`);
    }
    const same = node.members.filter((member) => member.key === key);
    for (const member of same) place(member.value, rest, depth + 1);
    if (same.length > 0) return;
    const indent = INDENT.repeat(depth + 1);
    const member = `\n${indent}${JSON.stringify(key)}: ${nested(rest, value, depth + 1)}`;
    const after = node.members.length > 0 ? ',' : `\n${INDENT.repeat(depth)}`;
    edits.push({ start: node.start + 1, end: node.start + 1, insert: member + after });
  }
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

function nested(keys: readonly string[], value: JsonValue, depth: number): string {
  const [key, ...rest] = keys;
  if (key === undefined) return written(value);
  const inner = `${INDENT.repeat(depth + 1)}${JSON.stringify(key)}: ${nested(rest, value, depth + 1)}`;
  return `{\n${inner}\n${INDENT.repeat(depth)}}`;
}

function written(value: JsonValue): string {
  return typeof value === 'object'
    ? `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    : JSON.stringify(value);
}
