import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { load, loadYaml, refusal, yamlFile } from './fixtures/config/load.js';

describe('a YAML file that cannot be read', () => {
  it.each(['/does/not/exist.yaml', tmpdir(), 'a\0b'])(
    'is an error that names it and what named it: %j',
    async (file) => {
      const error = await refusal(load({ env: { LMCACHE_CONFIG_FILE: file } }));
      expect(error.code).toBe('KVO_CONFIG_FILE');
      expect(error.message).toMatch(/^environment LMCACHE_CONFIG_FILE: /);
      expect(error.message).toContain(JSON.stringify(file));
      expect((await refusal(load({ file }))).message).toMatch(/^option file: /);
    },
  );

  it('is none where the variable is empty', async () => {
    expect((await load({ env: { LMCACHE_CONFIG_FILE: '' } })).chunkSize).toBe(256);
  });
});

describe('a YAML file that does not parse', () => {
  it.each([
    ['chunk_size: [1', /config\.yaml:1:\d+: /],
    ['chunk_size: 8\n  weka_path: /a\n', /config\.yaml:[12]:\d+: /],
    ['chunk_size: 8\nchunk_size: 8\n', /config\.yaml:2:1: .*unique/],
    ['a: &a 1\n---\nb: 2\n', /config\.yaml:2:1: /],
    ['chunk_size: *missing\n', /config\.yaml/],
    ['chunk_size: !!python/object:os.system 1\n', /config\.yaml:1:13: /],
    ['- chunk_size\n', /config\.yaml:1:1: holds no map/],
    ['chunk_size\n', /holds no map/],
    ['{chunk_size: 8}}', /config\.yaml:1:16: /],
    ['? [a]\n: 1\n', /config\.yaml:1:3: /],
    ['\t- x', /config\.yaml:1:1: /],
  ])('is an error with its place: %j', async (text, message) => {
    const error = await refusal(loadYaml(text));
    expect(error.message).toMatch(message);
    expect(error.code).toBe('KVO_CONFIG_PARSE');
  });

  it('because it is not UTF-8 says so', async () => {
    const error = await refusal(loadYaml(Uint8Array.of(0x61, 0x3a, 0x20, 0xff)));
    expect([error.code, error.message.includes('UTF-8')]).toEqual(['KVO_CONFIG_PARSE', true]);
  });

  it('because its aliases multiply is refused at once', async () => {
    const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]\n`);
    const error = await refusal(loadYaml(`a0: &a0 [x, x]\n${levels.join('')}`));
    expect([error.code, error.message.includes('alias')]).toEqual(['KVO_CONFIG_PARSE', true]);
  });

  it('because it nests without end is refused', async () => {
    const deep = `extra_config: {x: ${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    expect((await refusal(loadYaml(deep))).code).toBe('KVO_CONFIG_PARSE');
    const deeper = `extra_config: {x: ${'['.repeat(100)}${']'.repeat(100)}}`;
    expect((await refusal(loadYaml(deeper))).message).toContain('nested deeper');
  });
});

describe('a YAML file that says nothing', () => {
  it.each(['', '\n', '# nothing\n', '---\n', 'null\n', '{}\n', '\uFEFF'])('leaves the defaults: %j', async (text) => {
    expect(await loadYaml(text)).toMatchObject({ chunkSize: 256, unused: [], warnings: [] });
  });
});

describe('a place in a YAML file', () => {
  it('is that of the value for a bad value', async () => {
    const file = yamlFile('# a comment\nchunk_size:   many\n');
    expect((await refusal(load({ file }))).message).toBe(
      `${file}:2:15: chunk_size is "many"; expected an integer, at least 1.`,
    );
  });

  it('is found below extra_config, flow style and aliases included', async () => {
    expect((await refusal(loadYaml('extra_config: {use_direct_io: 7}\n'))).message).toMatch(
      /config\.yaml:1:31: use_direct_io is 7;/,
    );
    const aliased = 'storage_plugins: &x {use_direct_io: 7}\nextra_config: *x\n';
    expect((await refusal(loadYaml(aliased))).message).toMatch(/config\.yaml:1:37: use_direct_io is 7;/);
  });

  it('is that of the JSON text for what stands inside it', async () => {
    const text = `extra_config: '{"use_direct_io": 7}'\n`;
    expect((await refusal(loadYaml(text))).message).toMatch(/config\.yaml:1:15: use_direct_io is 7;/);
  });

  it('is that of the key for an empty value', async () => {
    expect((await refusal(loadYaml('chunk_size:\n'))).message).toMatch(/config\.yaml:1:\d+: chunk_size is null;/);
  });
});
