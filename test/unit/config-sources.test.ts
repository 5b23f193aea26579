import { readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { load, loadEnv, loadYaml, refusal, sourceOf, yamlFile } from './fixtures/config/load.js';

/** Both examples of LMCache's Weka page, as they stand there. */
const PAGE = `chunk_size: 256
local_cpu: false
weka_path: "/mnt/weka/cache"
cufile_buffer_size: 8192
extra_config:
  gds_io_threads: 32
`;
const PAGE_FLATTENED = PAGE.replace('  gds_io_threads', 'gds_io_threads');
const PAGE_ENVIRONMENT = {
  LMCACHE_USE_EXPERIMENTAL: 'True',
  LMCACHE_CHUNK_SIZE: '256',
  LMCACHE_WEKA_PATH: '/mnt/weka/cache',
  LMCACHE_CUFILE_BUFFER_SIZE: '8192',
  LMCACHE_LOCAL_CPU: 'False',
  LMCACHE_EXTRA_CONFIG: '{"gds_io_threads": 32}',
};
const PAGE_MEANS = { chunkSize: 256, paths: ['/mnt/weka/cache'], bufferMiB: 8192, ioThreads: 32, unused: [] };

describe('the examples of LMCache’s Weka page', () => {
  it('work as YAML', async () => {
    const config = await loadYaml(PAGE);
    expect(config).toMatchObject(PAGE_MEANS);
    expect(config.explain().find(({ key }) => key === 'local_cpu')).toMatchObject({ value: false, status: 'accepted' });
    expect(config.warnings.filter((text) => text.includes('at top level'))).toEqual([]);
  });

  it('work as YAML without the indentation, with a warning that shows the right form', async () => {
    const config = await loadYaml(PAGE_FLATTENED);
    expect(config).toMatchObject(PAGE_MEANS);
    expect(config.warnings[0]).toMatch(/config\.yaml:6:1 gds_io_threads: .*\nextra_config:\n {2}gds_io_threads: 32$/);
  });

  it('work as environment', async () => {
    const config = await loadEnv(PAGE_ENVIRONMENT);
    expect(config).toMatchObject(PAGE_MEANS);
    expect(sourceOf(config, 'extra_config.disk_io_threads')).toBe('environment LMCACHE_EXTRA_CONFIG gds_io_threads');
    expect(sourceOf(config, 'LMCACHE_USE_EXPERIMENTAL')).toBe('environment LMCACHE_USE_EXPERIMENTAL');
  });

  it('work as environment with the quotes that a container’s environment file keeps', async () => {
    const quoted = {
      ...PAGE_ENVIRONMENT,
      LMCACHE_CUFILE_BUFFER_SIZE: '"8192"',
      LMCACHE_EXTRA_CONFIG: `'{"gds_io_threads": 32}'`,
    };
    expect(await loadEnv(quoted)).toMatchObject(PAGE_MEANS);
  });
});

describe('defaults', () => {
  it('are those of the documents', async () => {
    const { explain, ...values } = await load();
    expect(values).toEqual({
      chunkSize: 256,
      paths: ['/home/u/.cache/kv-offload'],
      bufferMiB: 512,
      gdsPathSharding: 'by_gpu',
      useGds: true,
      ioThreads: Math.min(16, 2 * availableParallelism()),
      useDirectIo: false,
      saveUnfullChunk: false,
      preCachingHashAlgorithm: 'sha256_cbor',
      hashSeed: undefined,
      blockingTimeoutSecs: 10,
      minRetrieveTokens: 0,
      saveOnlyFirstRank: undefined,
      maxAllocAttempts: 10,
      allocationAttemptDelaySecs: 0.1,
      useLayerwise: false,
      checksums: true,
      sync: false,
      sliceMiB: 4,
      openFiles: 1024,
      device: 'cpu',
      transport: 'auto',
      libcudaPath: undefined,
      libcufilePath: undefined,
      cufileConfig: undefined,
      requireGds: false,
      deviceIndex: 0,
      lmcacheVersion: '0.5.6',
      hashRegime: 'C',
      noneHash: 'vllm',
      pythonVersion: '3.11',
      unused: [],
      warnings: [],
    });
    expect(new Set(explain().map(({ source }) => source))).toEqual(new Set(['default']));
  });

  it('put the cache under XDG_CACHE_HOME where that is an absolute path', async () => {
    expect((await loadEnv({ XDG_CACHE_HOME: '/var/c' })).paths).toEqual(['/var/c/kv-offload']);
    expect((await loadEnv({ XDG_CACHE_HOME: 'c' })).paths).toEqual(['/home/u/.cache/kv-offload']);
  });

  it('are read from process.env where no environment is given', async () => {
    process.env['KV_OFFLOAD_OPEN_FILES'] = '7';
    try {
      expect((await loadConfig()).openFiles).toBe(7);
    } finally {
      delete process.env['KV_OFFLOAD_OPEN_FILES'];
    }
  });
});

describe('precedence', () => {
  it('is default, file, environment, overrides, setting by setting', async () => {
    const file = yamlFile(
      'chunk_size: 1\nmin_retrieve_tokens: 1\ngds_buffer_size: 1\nextra_config: {max_alloc_attempts: 1, kv_offload: {slice_mib: 1}}\n',
    );
    const config = await load({
      file,
      env: {
        LMCACHE_MIN_RETRIEVE_TOKENS: '2',
        LMCACHE_GDS_BUFFER_SIZE: '2',
        LMCACHE_EXTRA_CONFIG: '{"use_direct_io": true}',
        KV_OFFLOAD_SLICE_MIB: '2',
      },
      overrides: { gds_buffer_size: 3 },
    });
    expect(config).toMatchObject({
      chunkSize: 1,
      minRetrieveTokens: 2,
      bufferMiB: 3,
      maxAllocAttempts: 1,
      useDirectIo: true,
      sliceMiB: 2,
    });
    expect(sourceOf(config, 'chunk_size')).toBe(`${file}:1:1 chunk_size`);
    expect(sourceOf(config, 'min_retrieve_tokens')).toBe('environment LMCACHE_MIN_RETRIEVE_TOKENS');
    expect(sourceOf(config, 'gds_buffer_size')).toBe('override gds_buffer_size');
    expect(sourceOf(config, 'extra_config.max_alloc_attempts')).toBe(`${file}:4:16 extra_config.max_alloc_attempts`);
    expect(sourceOf(config, 'extra_config.kv_offload.slice_mib')).toBe('environment KV_OFFLOAD_SLICE_MIB');
    expect(sourceOf(config, 'save_unfull_chunk')).toBe('default');
  });

  it('holds between two spellings of one setting', async () => {
    const file = yamlFile('gds_path: /a\ncufile_buffer_size: 1\nextra_config: {disk_io_threads: 1}\n');
    const config = await load({
      file,
      env: { LMCACHE_WEKA_PATH: '/b', LMCACHE_EXTRA_CONFIG: '{"gds_io_threads": 2}' },
      overrides: { gds_buffer_size: 3 },
    });
    expect(config).toMatchObject({ paths: ['/b'], bufferMiB: 3, ioThreads: 2 });
  });

  it('lets the option file win over LMCACHE_CONFIG_FILE', async () => {
    const env = { LMCACHE_CONFIG_FILE: '/does/not/exist' };
    expect((await load({ file: yamlFile('chunk_size: 8'), env })).chunkSize).toBe(8);
  });

  it('checks a value that another source overrides all the same', async () => {
    const error = await refusal(loadYaml('chunk_size: many', { LMCACHE_CHUNK_SIZE: '8' }));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
  });
});

describe('two spellings in one source', () => {
  it('are an error where they differ, which names both', async () => {
    const error = await refusal(loadYaml('weka_path: /a\ngds_path: /b\n'));
    expect(error.code).toBe('KVO_CONFIG_CONFLICT');
    expect(error.message).toMatch(/config\.yaml:1:1 weka_path \("\/a"\) and .*config\.yaml:2:1 gds_path \("\/b"\)/);
  });

  it.each([
    [{ LMCACHE_CUFILE_BUFFER_SIZE: '1', LMCACHE_GDS_BUFFER_SIZE: '2' }],
    [{ LMCACHE_EXTRA_CONFIG: '{"gds_io_threads": 1, "disk_io_threads": 2}' }],
    [{ LMCACHE_EXTRA_CONFIG: '{"kv_offload": {"sync": true}}', KV_OFFLOAD_SYNC: 'false' }],
  ])('conflict in the environment: %j', async (env) => {
    expect((await refusal(loadEnv(env))).code).toBe('KVO_CONFIG_CONFLICT');
  });

  it('conflict where one stands at top level and one in extra_config', async () => {
    const error = await refusal(loadYaml('extra_config: {gds_io_threads: 4}\ngds_io_threads: 32\n'));
    expect(error.code).toBe('KVO_CONFIG_CONFLICT');
    expect(error.message).toContain('both set gds_io_threads');
  });

  it('may agree, however each is written', async () => {
    const config = await load({
      overrides: {
        weka_path: '/a,/b',
        gds_path: ' /a , /b,',
        gds_buffer_size: 64,
        cufile_buffer_size: '64',
        extra_config: { disk_io_threads: 3, gds_io_threads: 3 },
      },
    });
    expect(config).toMatchObject({ paths: ['/a', '/b'], bufferMiB: 64, ioThreads: 3, warnings: [] });
  });
});

describe('the config object', () => {
  it('is frozen to the bottom', async () => {
    const config = await loadEnv({ LMCACHE_EXTRA_CONFIG: '{"other": {"list": [{"a": 1}]}}' });
    const loose: string[] = [];
    const walk = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) loose.push(path);
      for (const [key, inner] of Object.entries(value)) walk(inner, `${path}.${key}`);
    };
    walk(config, 'config');
    walk(config.explain(), 'rows');
    expect(loose).toEqual([]);
  });

  it('prints as JSON', async () => {
    const config = await loadEnv({ LMCACHE_WEKA_PATH: '/a', LMCACHE_LOG_LEVEL: 'INFO', PYTHONHASHSEED: '0' });
    expect(JSON.parse(JSON.stringify(config))).toMatchObject({
      chunkSize: 256,
      paths: ['/a'],
      hashSeed: '0',
      unused: [{ key: 'LMCACHE_LOG_LEVEL', value: 'INFO', source: 'environment LMCACHE_LOG_LEVEL' }],
    });
    expect(JSON.parse(JSON.stringify(config.explain()))).toHaveLength(config.explain().length);
  });

  it('keeps credentials of unused settings to itself', async () => {
    const config = await loadEnv({
      LMCACHE_REMOTE_URL: 'redis://u:hunter2@host:6379',
      LMCACHE_RESP_PASSWORD: 'hunter2',
      LMCACHE_BLEND_MIN_TOKENS: '256',
      LMCACHE_EXTRA_CONFIG: '{"valkey_password": "hunter2", "s3": {"aws_secret_access_key": "hunter2"}}',
    });
    expect(JSON.stringify(config)).not.toContain('hunter2');
    expect(config.unused.map(({ key, value }) => [key, value])).toEqual([
      ['remote_url', 'redis://***@host:6379'],
      ['LMCACHE_RESP_PASSWORD', '***'],
      ['blend_min_tokens', '256'],
      ['extra_config.valkey_password', '***'],
      ['extra_config.s3', { aws_secret_access_key: '***' }],
    ]);
  });
});

describe('the options of loadConfig', () => {
  it.each([
    [{ override: {} }, 'overrides'],
    [{ overrides: [] }, 'overrides is not a map'],
    [{ file: 5 }, 'file is not text'],
    [{ env: 'x' }, 'env is not a map'],
    [null, 'expected an object'],
  ])('are checked: %j', async (options, text) => {
    const error = await refusal(loadConfig(options as object));
    expect(error.code).toBe('KVO_ARGUMENT_INVALID');
    expect(error.message).toContain(text);
  });

  it.each([[() => 1], [new Date()], [Symbol('s')], [new Map()]])('take plain values only: %s', async (value) => {
    const error = await refusal(load({ overrides: { extra_config: { plugin: value } } }));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
  });

  it('take a map that holds itself for an error', async () => {
    const map: Record<string, unknown> = {};
    map['plugin'] = map;
    expect((await refusal(load({ overrides: { extra_config: map } }))).message).toContain('nested deeper');
  });

  it('pass over what is undefined', async () => {
    expect(await load({ overrides: { chunk_size: undefined } })).toMatchObject({ chunkSize: 256 });
  });
});

describe('warnings', () => {
  it('say that builtin without a seed is shared with no vLLM', async () => {
    const overrides = { pre_caching_hash_algorithm: 'builtin' };
    expect((await load({ overrides })).warnings.join()).toContain('deterministic across our processes only');
    expect((await load({ overrides, env: { PYTHONHASHSEED: '0' } })).warnings).toEqual([]);
  });

  it.each(['xxhash', 'xxhash_cbor'])('say so of %s, and of none where the chain begins with 0', async (algorithm) => {
    const overrides = { pre_caching_hash_algorithm: algorithm };
    expect((await load({ overrides })).warnings.join()).toContain(`${algorithm} without PYTHONHASHSEED`);
    const zero = { ...overrides, extra_config: { kv_offload: { none_hash: 'zero' } } };
    expect((await load({ overrides: zero })).warnings).toEqual([]);
  });

  it('say that the vLLM of an older LMCache shares nothing without a seed', async () => {
    const env = { KV_OFFLOAD_LMCACHE_VERSION: '0.3.12' };
    expect((await loadEnv(env)).warnings.join()).toContain('the vLLM of that time hashes from random bytes');
    expect((await loadEnv({ ...env, PYTHONHASHSEED: '0' })).warnings).toEqual([]);
  });

  it('say that a newer LMCache was not looked at', async () => {
    expect((await loadEnv({ KV_OFFLOAD_LMCACHE_VERSION: '0.5.7' })).warnings.join()).toMatch(
      /0\.5\.7 is newer than 0\.5\.6/,
    );
    expect((await loadEnv({ KV_OFFLOAD_LMCACHE_VERSION: '0.5.6.post1' })).warnings).toEqual([]);
  });

  it('say that LMCache ignores gds_io_threads today, unless its successor stands beside it', async () => {
    expect((await load({ overrides: { extra_config: { gds_io_threads: 8 } } })).warnings.join()).toContain(
      'disk_io_threads: 8',
    );
    const both = { gds_io_threads: 8, disk_io_threads: 8 };
    expect((await load({ overrides: { extra_config: both } })).warnings).toEqual([]);
  });

  it('say that LMCache hashes otherwise where a shared path comes without an algorithm', async () => {
    expect((await loadEnv({ LMCACHE_GDS_PATH: '/a' })).warnings.join()).toContain(
      'pre_caching_hash_algorithm is not set',
    );
    const env = { LMCACHE_GDS_PATH: '/a', LMCACHE_PRE_CACHING_HASH_ALGORITHM: 'sha256_cbor' };
    expect((await loadEnv(env)).warnings).toEqual([]);
    expect((await load({ overrides: { gds_path: '/a' } })).warnings).toEqual([]);
  });

  it('say that a seed of random, or an empty one, is none', async () => {
    for (const seed of ['random', '']) {
      const config = await loadEnv({ PYTHONHASHSEED: seed });
      expect(config.hashSeed).toBeUndefined();
      expect(config.warnings.join()).toContain('Taken as not set');
    }
  });

  it('say that a setting of the top level does nothing in extra_config', async () => {
    const config = await load({ overrides: { extra_config: { chunk_size: 8 } } });
    expect(config.chunkSize).toBe(256);
    expect(config.warnings.join()).toContain('belongs at top level');
  });
});

describe('importing the configuration', () => {
  it('loads yaml with the first file only', () => {
    const folder = new URL('../../src/config/', import.meta.url);
    const files = readdirSync(folder);
    const eager = files.filter((file) =>
      /^(import|export) (?!type\b)[^;]*from 'yaml'/m.test(readFileSync(new URL(file, folder), 'utf8')),
    );
    expect(files).toContain('yaml.ts');
    expect(eager).toEqual([]);
  });
});
