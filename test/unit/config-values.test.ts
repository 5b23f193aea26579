import { describe, expect, it } from 'vitest';
import golden from '../golden/lmcache.json' with { type: 'json' };
import { HASH_ALGORITHMS } from '../../src/config/index.js';
import { SETTINGS } from '../../src/config/schema.js';
import { unquote } from '../../src/config/unquote.js';
import { load, loadEnv, loadYaml, refusal } from './fixtures/config/load.js';

const converters = golden.config;

describe('a text in the environment', () => {
  it.each(Object.entries(converters.quoted))('loses white space and quotes as in LMCache: %j', (text, value) => {
    expect(unquote(text)).toBe(value);
  });

  it.each([
    [String.raw`"a\\b"`, String.raw`a\b`],
    [String.raw`'it\'s'`, "it's"],
    [String.raw`"\q"`, String.raw`\q`],
    [String.raw`"a\"`, String.raw`a` + '\\'],
  ])('reads escapes in quotes: %s', (text, value) => {
    expect(unquote(text)).toBe(value);
  });
});

describe('a boolean', () => {
  it.each(['true', 'True', 'TRUE', '1', ' 1 ', "'True'", '"true"'])('is true for %j', async (text) => {
    expect((await loadEnv({ LMCACHE_SAVE_UNFULL_CHUNK: text })).saveUnfullChunk).toBe(true);
  });

  it.each(['false', 'False', 'FALSE', '0'])('is false for %j', async (text) => {
    expect((await loadEnv({ LMCACHE_USE_GDS: text })).useGds).toBe(false);
  });

  it('is what LMCache reads, but for texts that are none: those LMCache takes for false', async () => {
    for (const [text, value] of Object.entries(converters.bool)) {
      const loading = loadEnv({ LMCACHE_SAVE_UNFULL_CHUNK: text });
      if (/^'?( ?1 ?|0|true|false)'?$/i.test(text)) expect((await loading).saveUnfullChunk, text).toBe(value);
      else expect([(await refusal(loading)).code, value], text).toEqual(['KVO_CONFIG_INVALID_VALUE', false]);
    }
  });

  it.each([true, 1, '1', 'tRuE'])('may be %j in a map', async (value) => {
    expect((await load({ overrides: { extra_config: { use_direct_io: value } } })).useDirectIo).toBe(true);
  });

  it.each([[2], [null], [[true]], [{}], [{ toString: 1 }], ['yes'], ['off'], ['1.0'], ['']])(
    'may not be %j',
    async (value) => {
      const error = await refusal(load({ overrides: { use_gds: value } }));
      expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
      expect(error.message).toBe(
        `override use_gds: use_gds is ${JSON.stringify(value)}; expected true, false, 1 or 0.`,
      );
    },
  );

  it('is not yes or no in YAML', async () => {
    const error = await refusal(loadYaml('chunk_size: 8\nlocal_cpu: no\n'));
    expect(error.message).toMatch(/config\.yaml:2:12: local_cpu is "no"; expected true, false, 1 or 0\.$/);
  });
});

describe('a number', () => {
  it.each([
    ['gds_buffer_size', '0'],
    ['gds_buffer_size', 'lots'],
    ['chunk_size', '0'],
    ['chunk_size', '-256'],
    ['chunk_size', '256.5'],
    ['chunk_size', '256.0'],
    ['chunk_size', '1_000'],
    ['chunk_size', '1e3'],
    ['chunk_size', '0x100'],
    ['chunk_size', '0400'],
    ['chunk_size', ''],
    ['chunk_size', '9007199254740993'],
    ['min_retrieve_tokens', '-1'],
    ['blocking_timeout_secs', '0'],
    ['blocking_timeout_secs', 'nan'],
    ['blocking_timeout_secs', 'inf'],
    ['blocking_timeout_secs', '1e9'],
    ['max_local_cpu_size', '.'],
  ])('%s may not be %j, from any source', async (name, text) => {
    for (const loading of [
      loadEnv({ [`LMCACHE_${name.toUpperCase()}`]: text }),
      load({ overrides: { [name]: text } }),
      loadYaml(`${name}: ${text}`),
    ]) {
      const error = await refusal(loading);
      expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
      expect(error.message).toContain(name);
    }
  });

  it.each([true, null, [8], {}, NaN, Infinity, 1.5, 2 ** 60, 2n ** 60n])('chunk_size may not be %s', async (value) => {
    expect((await refusal(load({ overrides: { chunk_size: value } }))).code).toBe('KVO_CONFIG_INVALID_VALUE');
  });

  it('may be text or a number, and a fraction where that makes sense', async () => {
    expect(
      await load({
        overrides: {
          chunk_size: '16',
          gds_buffer_size: 32n,
          blocking_timeout_secs: '2.5',
          extra_config: { allocation_attempt_delay_secs: '1e-2' },
        },
      }),
    ).toMatchObject({
      chunkSize: 16,
      bufferMiB: 32,
      blockingTimeoutSecs: 2.5,
      allocationAttemptDelaySecs: 0.01,
    });
  });

  it('takes its bounds themselves and nothing beyond', async () => {
    const wrap = (place: string, name: string, value: number): Record<string, unknown> => {
      if (place === 'top') return { [name]: value };
      return { extra_config: place === 'own' ? { kv_offload: { [name]: value } } : { [name]: value } };
    };
    let tried = 0;
    for (const { place, names, type } of SETTINGS) {
      if (type.kind !== 'integer' && type.kind !== 'number') continue;
      const [name] = names;
      for (const [bound, beyond] of [
        [type.min, (type.min ?? 0) - 1],
        [type.max, (type.max ?? 0) + 1],
      ] as const) {
        if (bound === undefined) continue;
        tried++;
        const config = await load({ overrides: wrap(place, name, bound) });
        expect(config.explain().find(({ source }) => source !== 'default')?.value, name).toBe(bound);
        const error = await refusal(load({ overrides: wrap(place, name, beyond) }));
        expect([error.code, error.message.includes(String(bound))], name).toEqual(['KVO_CONFIG_INVALID_VALUE', true]);
      }
    }
    expect(tried).toBeGreaterThan(10);
  });

  it('in YAML that LMCache would read as octal is an error', async () => {
    expect((await refusal(loadYaml('chunk_size: 0400\n'))).message).toContain('chunk_size is "0400"');
  });
});

describe('paths', () => {
  it('are a list with commas, trimmed, without empty parts', async () => {
    expect((await loadEnv({ LMCACHE_GDS_PATH: ' /a, /b c ,,~/d,' })).paths).toEqual(['/a', '/b c', '~/d']);
  });

  it.each(['', ' , ', 5, ['/a'], '/a\0b'])('may not be %j', async (value) => {
    const error = await refusal(load({ overrides: { weka_path: value } }));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
    expect(error.message).toContain('weka_path');
  });

  it('that are null are not set, as is all that LMCache has as optional', async () => {
    const config = await loadYaml(
      'gds_path: null\ngds_buffer_size: ~\nlocal_disk:\nextra_config: {save_only_first_rank: null, kv_offload: null}\n',
    );
    expect(config).toMatchObject({
      paths: ['/home/u/.cache/kv-offload'],
      bufferMiB: 512,
      saveOnlyFirstRank: undefined,
    });
    expect((await load({ overrides: { gds_path: null }, env: { LMCACHE_GDS_PATH: '/a' } })).paths).toEqual(['/a']);
  });

  it.each(Object.entries(converters.disk).filter(([text]) => text !== 'None'))(
    'of local_disk are read as in LMCache: %s',
    async (text, path) => {
      const config = await loadEnv({ LMCACHE_LOCAL_DISK: text });
      expect(config.explain().find(({ key }) => key === 'local_disk')?.value).toBe(path);
    },
  );
});

describe('an LMCache version', () => {
  const own = (settings: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    load({ overrides: { ...more, extra_config: { kv_offload: settings } }, env: { PYTHONHASHSEED: '0' } });

  it.each([
    ['0.3.6', 'A', true],
    ['0.3.9.post2', 'A', true],
    ['0.3.10', 'A', true],
    ['0.3.11', 'A', false],
    ['0.3.12', 'A', false],
    ['0.3.13', 'B-none', false],
    ['0.3.15', 'B-none', false],
    ['0.4.0', 'B-empty', false],
    ['0.4.1', 'B-empty', false],
    ['0.4.5', 'B-empty', false],
    ['0.4.6', 'C', false],
    ['0.4.10', 'C', false],
    ['0.5.0', 'C', false],
    ['0.5.6', 'C', false],
  ])('%s hashes in regime %s and stores short tails: %s', async (version, hashRegime, saveUnfullChunk) => {
    const config = await own({ lmcache_version: version });
    expect(config).toMatchObject({ lmcacheVersion: version, hashRegime, saveUnfullChunk });
    expect(config.explain().find(({ property }) => property === 'hashRegime')?.source).toBe('default');
  });

  it('leaves alone what is set apart from it', async () => {
    const config = await own({ lmcache_version: '0.3.6', hash_regime: 'C' }, { save_unfull_chunk: false });
    expect(config).toMatchObject({ lmcacheVersion: '0.3.6', hashRegime: 'C', saveUnfullChunk: false });
  });

  it.each(['0.3.5', '0.3', '0.2.9', '0.6.0', '1.0.0', '0.5', 'v0.5.6', '0.5.6rc1', '0.05.6', ''])(
    'outside what is known is refused: %j',
    async (version) => {
      const error = await refusal(own({ lmcache_version: version }));
      expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
      expect(error.message).toContain('expected a release of LMCache from "0.3.6" to "0.5.x"');
    },
  );

  it('is text in YAML as it stands there', async () => {
    const config = await loadYaml('extra_config:\n  kv_offload:\n    lmcache_version: 0.4.2\n');
    expect(config.lmcacheVersion).toBe('0.4.2');
  });

  it('takes regimes and the first link by their names alone', async () => {
    expect((await refusal(own({ hash_regime: 'B' }))).message).toContain('one of A, B-none, B-empty, C');
    expect((await refusal(own({ none_hash: '0' }))).message).toContain('one of vllm, zero');
  });
});

describe('a choice', () => {
  it.each(HASH_ALGORITHMS)('of hash algorithm may be %s', async (name) => {
    expect((await load({ overrides: { pre_caching_hash_algorithm: name } })).preCachingHashAlgorithm).toBe(name);
  });

  it('of hash algorithm that nobody has is an error, where LMCache takes builtin without a word', async () => {
    const error = await refusal(loadYaml('pre_caching_hash_algorithm: sha256-cbor\n'));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
    expect(error.message).toMatch(
      /config\.yaml:1:29: .*"sha256-cbor"; expected one of sha256_cbor, sha256, xxhash_cbor, xxhash, builtin/,
    );
  });

  it('of policy is taken in any case, as in LMCache', async () => {
    const config = await loadEnv({ LMCACHE_CACHE_POLICY: 'lfu' });
    expect(config.explain().find(({ key }) => key === 'cache_policy')).toMatchObject({
      value: 'LFU',
      status: 'accepted',
    });
    expect((await refusal(loadEnv({ LMCACHE_CACHE_POLICY: 'ARC' }))).message).toContain('LRU, LFU, FIFO, MRU');
  });

  it('of sharding is by_gpu', async () => {
    expect((await refusal(loadEnv({ LMCACHE_GDS_PATH_SHARDING: 'by_rank' }))).message).toContain('expected by_gpu');
  });
});

describe('the hash seed', () => {
  it.each(['0', '7', '007', '4294967295'])('may be %s, and stays that text', async (seed) => {
    expect((await loadEnv({ PYTHONHASHSEED: seed })).hashSeed).toBe(seed);
  });

  it.each(['-1', '4294967296', 'Random', ' 1', '1.5', '0x1', '"1"'])('may not be %j', async (seed) => {
    const error = await refusal(loadEnv({ PYTHONHASHSEED: seed }));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
    expect(error.message).toContain('environment PYTHONHASHSEED');
  });
});

describe('the Python version', () => {
  it('may be 3.10 in YAML without quotes', async () => {
    expect((await loadYaml('extra_config: {kv_offload: {python_version: 3.10}}\n')).pythonVersion).toBe('3.10');
  });

  it.each([3.1, '3', '2.7', '3.11.4', 'python3.11', '3.3'])('may not be %j', async (value) => {
    const error = await refusal(load({ overrides: { extra_config: { kv_offload: { python_version: value } } } }));
    expect(error.message).toContain('in quotes');
  });
});

describe('extra_config', () => {
  it('may be JSON text in YAML too', async () => {
    expect(await loadYaml(`extra_config: '{"gds_io_threads": 5, "kv_offload": {"sync": true}}'\n`)).toMatchObject({
      ioThreads: 5,
      sync: true,
    });
  });

  it('may be empty', async () => {
    for (const text of ['', '{}', 'null', ' '])
      expect((await loadEnv({ LMCACHE_EXTRA_CONFIG: text })).unused).toEqual([]);
  });

  it.each(['{', "{'gds_io_threads': 32}", 'gds_io_threads=32'])('that is not JSON is an error: %s', async (text) => {
    const error = await refusal(loadEnv({ LMCACHE_EXTRA_CONFIG: text }));
    expect(error.code).toBe('KVO_CONFIG_PARSE');
    expect(error.message).toMatch(/^environment LMCACHE_EXTRA_CONFIG: /);
  });

  it('that is not JSON does not show the passwords in it', async () => {
    const error = await refusal(loadEnv({ LMCACHE_EXTRA_CONFIG: "{'valkey_password': 'hunter2'}" }));
    expect(error.message).not.toContain('hunter2');
  });

  it.each(['[]', '5', '{"kv_offload": 5}', '{"kv_offload": []}'])(
    'must be a map, and kv_offload too: %s',
    async (text) => {
      const error = await refusal(loadEnv({ LMCACHE_EXTRA_CONFIG: text }));
      expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
      expect(error.message).toContain('expected a map');
    },
  );
});

describe('what has no effect in this version', () => {
  it('is still read', async () => {
    expect((await loadEnv({ LMCACHE_USE_LAYERWISE: 'true' })).useLayerwise).toBe(true);
    const config = await loadYaml('gds_backend: hipfile\nlmcache_instance_id: 12\nmax_local_cpu_size: 2.5\n');
    const values = new Map(config.explain().map(({ key, value }) => [key, value]));
    expect([values.get('gds_backend'), values.get('lmcache_instance_id'), values.get('max_local_cpu_size')]).toEqual([
      'hipfile',
      '12',
      2.5,
    ]);
  });
});
