/** What the command line makes of texts: tokens, option values, settings. */
import { Command } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPromptOptions, count, parseShape } from '../../src/cli/options.js';
import { type SettingOptions, hasBase, loadSettings, requireBase } from '../../src/cli/settings.js';
import { parseTokens } from '../../src/cli/tokens.js';
import { KVOffloadError } from '../../src/errors.js';
import { messageOf } from './expect-code.js';

describe('parseTokens', () => {
  const anyToken = fc.oneof(fc.maxSafeNat(), fc.nat(200_000));

  it('reads back what was written, as JSON or with any separators', () => {
    const separator = fc.constantFrom(' ', '\n', '\r\n', '\t', ',', ', ', ' ,\n');
    fc.assert(
      fc.property(fc.array(anyToken), separator, (tokens, between) => {
        expect([...parseTokens(JSON.stringify(tokens), 'x')]).toEqual(tokens);
        expect([...parseTokens(` ${tokens.join(between)}\n`, 'x')]).toEqual(tokens);
      }),
    );
  });

  it('takes a comma at the end, a byte-order mark, and nothing at all', () => {
    expect([...parseTokens('1,\n2,\n', 'x')]).toEqual([1, 2]);
    expect([...parseTokens('\uFEFF[3]', 'x')]).toEqual([3]);
    expect([...parseTokens(' \n', 'x')]).toEqual([]);
  });

  it.each([
    ['[1,-2]', 'token 1 is -2'],
    ['[1.5]', 'token 0 is 1.5'],
    ['[9007199254740990.5]', 'without point and exponent'],
    ['[1.0]', 'without point and exponent'],
    ['[1e3]', 'without point and exponent'],
    ['[9007199254740993]', 'token 0 is 9007199254740992'],
    ['["1"]', 'token 0 is the string "1"'],
    ['[[1]]', 'token 0 is of type Array'],
    ['[1,null]', 'token 1 is null'],
    ['[1,', 'no JSON array'],
    ['[1] 2', 'no JSON array'],
    ['1 -2', 'token 1 is "-2"'],
    ['1 2.5', 'token 1 is "2.5"'],
    ['1,,2', 'token 1 is ""'],
    ['0x10', 'token 0 is "0x10"'],
    ['9007199254740993', 'token 0 is 9007199254740992'],
    ['{"tokens": [1]}', 'token 0 is'],
  ])('refuses %s', (text, what) => {
    const message = messageOf('KVO_TOKENS_INVALID', () => parseTokens(text, 'a.json'));
    expect(message).toMatch(/^a\.json: /);
    expect(message).toContain(what);
  });
});

describe('values of options', () => {
  it('are dimensions, in brackets too', () => {
    expect(parseShape('2,32,256,1024')).toEqual([2, 32, 256, 1024]);
    expect(parseShape('[2, 3]')).toEqual([2, 3]);
  });

  it.each(['', '0', '2,,3', '2,-3', '2,1.5', '2x3', '[2', '9007199254740993'])('are no shape: %s', (text) => {
    expect(messageOf('KVO_ARGUMENT_INVALID', () => parseShape(text))).toContain('--shape');
  });

  it('are integers within bounds', () => {
    expect(count('--n', 1, 8)('8')).toBe(8);
    for (const text of ['0', '9', '-1', '1.5', '', ' 1', '1e0']) {
      expect(messageOf('KVO_ARGUMENT_INVALID', () => count('--n', 1, 8)(text))).toContain('from 1 to 8');
    }
    messageOf('KVO_ARGUMENT_INVALID', () => count('--n', 0)('9007199254740993'));
  });

  it('are tags in order, each name once, with anything but a name before the first =', () => {
    const parse = (...tags: string[]) => {
      const command = addPromptOptions(new Command().exitOverride() as never);
      return command.parse(['--model', 'm', ...tags.flatMap((tag) => ['--tag', tag])], { from: 'user' }).opts().tag;
    };
    expect(parse('b=1', 'a=x=y', 'c=')).toEqual([
      ['b', '1'],
      ['a', 'x=y'],
      ['c', ''],
    ]);
    for (const tags of [['novalue'], ['=v'], ['a=1', 'a=2']]) messageOf('KVO_ARGUMENT_INVALID', () => parse(...tags));
  });
});

describe('loadSettings', () => {
  it.each<[string, SettingOptions, string]>([
    ['--chunk-size', { chunkSize: '0' }, 'KVO_CONFIG_INVALID_VALUE'],
    ['--chunk-size', { chunkSize: 'many' }, 'KVO_CONFIG_INVALID_VALUE'],
    ['--algorithm', { algorithm: 'md5' }, 'KVO_CONFIG_INVALID_VALUE'],
    ['--seed', { seed: 'abc' }, 'KVO_CONFIG_INVALID_VALUE'],
    ['--python-version', { pythonVersion: '2.7' }, 'KVO_CONFIG_INVALID_VALUE'],
    ['--base', { base: '' }, 'KVO_CONFIG_INVALID_VALUE'],
  ])('names the option: %s', async (option, options, code) => {
    const error = await loadSettings(options).then(
      () => expect.fail('it was taken'),
      (reason: unknown) => reason as KVOffloadError,
    );
    expect(error).toBeInstanceOf(KVOffloadError);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^${option}: `));
  });

  it('tells a base that was given from the default', async () => {
    const [given, silent] = await Promise.all([loadSettings({ base: '/x,/y' }), loadSettings()]);
    expect([hasBase(given), hasBase(silent)]).toEqual([true, false]);
    expect(given.paths).toEqual(['/x', '/y']);
    expect(messageOf('KVO_ARGUMENT_INVALID', () => requireBase(silent))).toContain('--base');
  });
});
