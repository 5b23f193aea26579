/** JSON with `//` and block comments, as cufile.json is written: parsed with the place of every value. */
import { KVOffloadError } from '../errors.js';

/** A value, and where it stands in the text: `[start, end)` in UTF-16 units. */
export type JsonNode = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'value'; readonly value: string | number | boolean | null }
);

export interface JsonMember {
  readonly key: string;
  readonly value: JsonNode;
}

/** Deeper than any configuration, and far from the stack's end. */
const MOST_DEEP = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const WORD = /[A-Za-z_][\w]*/y;
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/**
 * Parses one value with nothing but comments and blanks around it.
 *
 * @param name - what messages call the text, such as its path
 * @throws KVOffloadError `KVO_CONFIG_PARSE`, with `name:line:column`
 */
export function parseJsonc(text: string, name: string): JsonNode {
  return new Parser(text, name).document();
}

/** The plain value of a node; of a key that is given twice the last. Objects have no prototype. */
export function plainJson(node: JsonNode): unknown {
  if (node.kind === 'value') return node.value;
  if (node.kind === 'array') return node.items.map(plainJson);
  const plain = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of node.members) plain[key] = plainJson(value);
  return plain;
}

/** `line:column` of an offset, both from 1. */
export function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}

class Parser {
  readonly #text: string;
  readonly #name: string;
  #at: number;
  #depth = 0;

  constructor(text: string, name: string) {
    this.#text = text;
    this.#name = name;
    // A byte order mark is no part of the text.
    this.#at = text.startsWith('\ufeff') ? 1 : 0;
  }

  document(): JsonNode {
    this.#skip();
    if (this.#at === this.#text.length) throw this.#error('the file is empty; expected a JSON object');
    const node = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw this.#error(`${this.#seen()} after the end; expected nothing more`);
    return node;
  }

  #value(): JsonNode {
    const start = this.#at;
    const first = this.#text[start];
    if (first === '{') return this.#nested(() => this.#object());
    if (first === '[') return this.#nested(() => this.#array());
    if (first === '"') return { kind: 'value', value: this.#string(), start, end: this.#at };
    const number = this.#match(NUMBER);
    if (number !== undefined) return { kind: 'value', value: Number(number), start, end: this.#at };
    const word = this.#match(WORD);
    const value = word === undefined ? undefined : WORDS.get(word);
    if (value !== undefined) return { kind: 'value', value, start, end: this.#at };
    this.#at = start;
    throw this.#error(`${word ?? this.#seen()} is no JSON value`);
  }

  #object(): JsonNode {
    const start = this.#at++;
    const members: JsonMember[] = [];
    this.#skip();
    while (!this.#take('}')) {
      if (this.#text[this.#at] !== '"') throw this.#error(`${this.#seen()}; expected a key in double quotes`);
      const key = this.#string();
      this.#skip();
      if (!this.#take(':')) throw this.#error(`${this.#seen()}; expected ":" after the key ${JSON.stringify(key)}`);
      this.#skip();
      members.push({ key, value: this.#value() });
      this.#comma('}');
    }
    return { kind: 'object', members, start, end: this.#at };
  }

  #array(): JsonNode {
    const start = this.#at++;
    const items: JsonNode[] = [];
    this.#skip();
    while (!this.#take(']')) {
      items.push(this.#value());
      this.#comma(']');
    }
    return { kind: 'array', items, start, end: this.#at };
  }

  /** Behind a member or item: the end, which is left for the caller, or a comma with more behind it. */
  #comma(end: string): void {
    this.#skip();
    if (this.#text[this.#at] === end) return;
    if (!this.#take(',')) throw this.#error(`${this.#seen()}; expected "," or "${end}"`);
    this.#skip();
    if (this.#text[this.#at] === end) throw this.#error(`"${end}" after a comma; remove the comma`);
  }

  #nested(parse: () => JsonNode): JsonNode {
    if (++this.#depth > MOST_DEEP) throw this.#error(`more than ${MOST_DEEP} objects and arrays in each other`);
    const node = parse();
    this.#depth--;
    return node;
  }

  #string(): string {
    const text = this.#match(STRING);
    if (text === undefined) throw this.#error('a string without its end, or with a character that must be escaped');
    return JSON.parse(text) as string;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** Blanks and comments. */
  #skip(): void {
    for (;;) {
      while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
      if (this.#text.startsWith('//', this.#at)) {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#text.length : end + 1;
      } else if (this.#text.startsWith('/*', this.#at)) {
        const end = this.#text.indexOf('*/', this.#at + 2);
        if (end < 0) throw this.#error('a comment without its end, */');
        this.#at = end + 2;
      } else {
        return;
      }
    }
  }

  #seen(): string {
    const character = this.#text[this.#at];
    return character === undefined ? 'the end of the file' : JSON.stringify(character);
  }

  #error(what: string): KVOffloadError {
    return new KVOffloadError('KVO_CONFIG_PARSE', `${this.#name}:${placeOf(this.#text, this.#at)}: ${what}`);
  }
}
