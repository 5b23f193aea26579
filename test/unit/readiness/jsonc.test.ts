import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJsonc, plainJson } from '../../../src/readiness/jsonc.js';
import { setJsonc } from '../../../src/readiness/jsonc-edit.js';
import { lineDiff } from '../../../src/readiness/line-diff.js';
import { messageOf, survive } from '../expect-code.js';
import { STOCK } from './cufile-files.js';

const parse = (text: string): unknown => JSON.parse(JSON.stringify(plainJson(parseJsonc(text, 'x.json'))));
const refused = (text: string): string => messageOf('KVO_CONFIG_PARSE', () => parseJsonc(text, 'x.json'));

describe('JSON with comments', () => {
  it('reads what JSON.parse reads, to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('skips comments of both kinds, and leaves those in strings', () => {
    const text = '// a\n{ /* b */ "u": "http://x/*y*/" /* c\n */ , // "no": 1\n "v" : [1, // 2\n 3] } // end';
    expect(parse(text)).toEqual({ u: 'http://x/*y*/', v: [1, 3] });
    expect(parse(STOCK)).toMatchObject({ properties: { rdma_dev_addr_list: [] }, fs: { weka: {} } });
    expect(parse('\ufeff{}')).toEqual({});
  });

  it.each([
    ['', '1:1: the file is empty'],
    ['// only\n/* comments */', '2:15: the file is empty'],
    ['{"a": 1,}', '1:9: "}" after a comma'],
    ['{\n  "a": 1\n  "b": 2\n}', '3:3: "\\""; expected "," or "}"'],
    ['{"a" 1}', '1:6: "1"; expected ":" after the key "a"'],
    ['{a: 1}', '1:2: "a"; expected a key in double quotes'],
    ['{"a": True}', '1:7: True is no JSON value'],
    ['{"a": 01}', '1:8: "1"; expected "," or "}"'],
    ['{"a": "x\ny"}', '1:7: a string without its end'],
    ['{"a": [1, 2', '1:12: the end of the file; expected "," or "]"'],
    ['{} {}', '1:4: "{" after the end'],
    ['{ /* open', '1:3: a comment without its end'],
    ['[1, ]', '1:5: "]" after a comma'],
    ['['.repeat(300), '1:201: more than 200'],
    ['\0', '1:1: "\\u0000" is no JSON value'],
  ])('refuses %j with its place', (text, message) => {
    expect(refused(text)).toContain(`x.json:${message}`);
  });

  it('throws nothing but its own error, whatever the text', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '//',
      '/*',
      '*/',
      '\n',
      'true',
      '1',
      '-',
      'é',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        survive(() => parseJsonc(parts.join(''), 'x'));
      }),
    );
  });

  it('takes the last of a key that is given twice, and no prototype from __proto__', () => {
    expect(parse('{"a": 1, "a": 2}')).toEqual({ a: 2 });
    expect(Object.getPrototypeOf(plainJson(parseJsonc('{"__proto__": {"x": 1}}', 'x')))).toBe(null);
  });
});

describe('setting a value', () => {
  it('replaces it and leaves every other byte', () => {
    const text = setJsonc(STOCK, ['fs', 'weka', 'rdma_write_support'], true, 'x');
    expect(text).toBe(STOCK.replace('"rdma_write_support" : false', '"rdma_write_support" : true'));
    expect(setJsonc(STOCK, ['properties', 'rdma_dev_addr_list'], ['10.0.0.7', '10.0.0.8'], 'x')).toContain(
      '"rdma_dev_addr_list": ["10.0.0.7", "10.0.0.8"],\n',
    );
  });

  it('makes what is missing on the way', () => {
    expect(setJsonc('{}', ['fs', 'weka', 'on'], true, 'x')).toBe(
      '{\n    "fs": {\n        "weka": {\n            "on": true\n        }\n    }\n}',
    );
    expect(setJsonc('{ "fs": { "a": 1 } }', ['fs', 'b'], 2, 'x')).toBe('{ "fs": {\n        "b": 2, "a": 1 } }');
  });

  it('sets a key that is given twice in both places', () => {
    expect(setJsonc('{"a": 1, "a": 2}', ['a'], 3, 'x')).toBe('{"a": 3, "a": 3}');
  });

  it('gives a text that parses to the same but for that value', () => {
    const keys = fc.array(fc.string(), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), keys, (object, path) => {
        const text = JSON.stringify(object, undefined, 2);
        const edited = survive(() => setJsonc(text, path, true, 'x'));
        if (edited === undefined) return;
        expect(path.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], parse(edited))).toBe(true);
        expect(survive(() => setJsonc(edited, path, true, 'x'))).toBe(edited);
      }),
    );
  });

  it('refuses to go through what is no object', () => {
    expect(messageOf('KVO_CONFIG_PARSE', () => setJsonc('{"fs":\n 3}', ['fs', 'weka'], 1, 'x.json'))).toBe(
      'x.json:2:2: "fs" is no object',
    );
    expect(messageOf('KVO_CONFIG_PARSE', () => setJsonc('[]', ['a'], 1, 'x.json'))).toContain('the file is no object');
  });
});

describe('a diff', () => {
  const lines = (...all: readonly string[]) => all.map((line) => `${line}\n`).join('');

  it('shows what changes, with three lines around it', () => {
    const before = lines('1', '2', '3', '4', '5', '6', '7', '8', '9', '10');
    expect(lineDiff(before, before.replace('5', 'five'), 'a', 'b')).toBe(
      lines('--- a', '+++ b', '@@ -2,7 +2,7 @@', ' 2', ' 3', ' 4', '-5', '+five', ' 6', ' 7', ' 8'),
    );
    expect(lineDiff(before, before, 'a', 'b')).toBe('');
    expect(lineDiff('', 'x\n', 'a', 'b')).toBe(lines('--- a', '+++ b', '@@ -1,0 +1,1 @@', '+x'));
  });

  it('turns the one text into the other', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd')).map((all) => lines(...all));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const body = lineDiff(before, after, 'x', 'y').split('\n').slice(2, -1);
        const side = (mark: string) => body.filter((line) => line.startsWith(mark)).length;
        const count = (all: string) => all.split('\n').length;
        expect(side('+') - side('-')).toBe(count(after) - count(before));
        if (before !== after) expect(side('+') + side('-')).toBeGreaterThan(0);
      }),
    );
  });
});
