/** Settings from a YAML file, each with its line and column. */
import { readFile } from 'node:fs/promises';
import type { Document, LineCounter, Node } from 'yaml';
import { KVOffloadError } from '../errors.js';
import { isMap, plainCopy, type PlainMap } from './plain.js';
import { recogniseRoot, type Findings, type Origin } from './recognise.js';

/** References to anchors that a file may hold; a few lines of nested ones would otherwise fill the memory. */
const MOST_ALIASES = 100;

/**
 * Takes every setting of a file.
 *
 * @param namedBy - what named the file, for the error
 * @throws KVOffloadError KVO_CONFIG_FILE, KVO_CONFIG_PARSE, and those of unknown keys
 */
export async function recogniseFile(file: string, namedBy: string, findings: Findings): Promise<void> {
  const text = await readText(file, namedBy);
  const { root, origin } = await parseYaml(text, file);
  recogniseRoot(root, origin, findings);
}

async function readText(file: string, namedBy: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new KVOffloadError(
      'KVO_CONFIG_FILE',
      `${namedBy}: cannot read the configuration file ${JSON.stringify(file)}: ${reason}. Correct the name or make it readable.`,
      error,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new KVOffloadError('KVO_CONFIG_PARSE', `${file}: is not UTF-8 text. Save it as UTF-8.`, error);
  }
}

/** Parses YAML 1.2 (core schema), so that `yes` and `no` are text, which no boolean takes, and never a silent guess. */
export async function parseYaml(text: string, file: string): Promise<{ root: PlainMap; origin: Origin }> {
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const refuse = (offset: number | undefined, problem: string, cause?: unknown): KVOffloadError =>
    new KVOffloadError('KVO_CONFIG_PARSE', `${position(file, lines, offset)}: ${problem}`, cause);

  let document: Document.Parsed;
  let value: unknown;
  try {
    document = yaml.parseDocument(text, {
      lineCounter: lines,
      version: '1.2',
      schema: 'core',
      stringKeys: true,
      uniqueKeys: true,
      prettyErrors: false,
      // Quieter still, and a second document in the file would pass unseen.
      logLevel: 'error',
    });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) throw refuse(problem.pos[0], `not valid YAML: ${problem.message}.`, problem);
    keepSpelling(yaml, document);
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    if (error instanceof KVOffloadError) throw error;
    // Too many aliases, an alias to nothing, or nesting past the stack.
    const reason = error instanceof Error ? error.message : String(error);
    throw refuse(undefined, `not usable YAML: ${reason}. Simplify the file.`, error);
  }
  const root = plainCopy(value, file);
  if (root === null) return { root: {}, origin: originOf(yaml, document, lines, file) };
  if (!isMap(root)) {
    throw refuse(document.contents?.range[0], 'holds no map of settings. Write lines such as chunk_size: 256.');
  }
  return { root, origin: originOf(yaml, document, lines, file) };
}

/**
 * Leaves a number as text where its spelling would be lost: 3.10 is not 3.1 as a version, 0400 is 256 to LMCache's
 * YAML 1.1, and digits past 2^53 change. Settings take numeric text, strictly.
 */
function keepSpelling(yaml: typeof import('yaml'), document: Document.Parsed): void {
  yaml.visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === 'number' && node.source !== undefined && String(node.value) !== node.source) {
        node.value = Number.isFinite(node.value) ? node.source : node.value;
      }
    },
  });
}

function originOf(yaml: typeof import('yaml'), document: Document.Parsed, lines: LineCounter, file: string): Origin {
  /** The nodes of the key at a path and of its value; undefined inside JSON text, say. */
  const find = (path: readonly string[]): { key: Node | null; value: Node | null } | undefined => {
    let node: unknown = document.contents;
    let found: { key: Node | null; value: Node | null } | undefined;
    for (const name of path) {
      const map: unknown = yaml.isAlias(node) ? node.resolve(document) : node;
      if (!yaml.isMap(map)) return found;
      const pair = map.items.find(({ key }) => (yaml.isScalar(key) ? String(key.value) : String(key)) === name);
      if (pair === undefined) return found;
      found = { key: yaml.isNode(pair.key) ? pair.key : null, value: yaml.isNode(pair.value) ? pair.value : null };
      node = pair.value;
    }
    return found;
  };
  return {
    level: 'file',
    source: (path) => `${position(file, lines, find(path)?.key?.range?.[0])} ${path.join('.')}`,
    at: (path, part) => {
      const found = find(path);
      const node = part === 'value' ? (found?.value ?? found?.key) : found?.key;
      return position(file, lines, node?.range?.[0]);
    },
  };
}

function position(file: string, lines: LineCounter, offset: number | undefined): string {
  if (offset === undefined) return file;
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}
