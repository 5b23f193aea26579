import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LMCACHE_OTHER_KEYS } from '../../src/config/lmcache-keys.js';
import { editDistance, nearest } from '../../src/config/nearest.js';
import { SETTINGS } from '../../src/config/schema.js';
import { load, loadEnv, loadYaml, refusal } from './fixtures/config/load.js';

// Python's JSON: one default is Infinity.
const goldenText = readFileSync(new URL('../golden/lmcache-config-keys.json', import.meta.url), 'utf8');
const goldenKeys = JSON.parse(goldenText.replace('Infinity', 'null')) as {
  keys: { name: string; type: string; default: unknown }[];
};

/** What LMCache 0.5.6 itself reads under its prefix without it being configuration. */
const READ_BY_LMCACHE = `AEROSPIKE_HOSTS AEROSPIKE_NAMESPACE AEROSPIKE_PASSWORD AEROSPIKE_SET AEROSPIKE_USERNAME
  CONTROLLER_CONFIG_FILE COORDINATOR_ADVERTISE_IP COORDINATOR_EVENT_FLUSH_INTERVAL COORDINATOR_EVENT_REPORTING
  COORDINATOR_HEARTBEAT_INTERVAL COORDINATOR_URL DEVICE_BACKEND DISABLE_BANNER FORCE_SKIP_SAVE GPU_STAGING_BUFFER_BYTES
  KV_TRANSFER_ABI_VERSION LOG_LEVEL MP_TRANSFER_MODE MQ_TIMEOUT MUSA_HANDLE_TRANSFER OFFLOAD_RPC_PORT PLUGIN_CONFIG
  PLUGIN_ROLE PLUGIN_WORKER_COUNT PLUGIN_WORKER_ID REQUEST_TELEMETRY_ENDPOINT REQUEST_TELEMETRY_TYPE RESP_HOST
  RESP_PASSWORD RESP_PORT RESP_USERNAME ROCM_ENABLE_BATCH_MEMCPY RUNTIME_PLUGIN_CONFIG RUNTIME_PLUGIN_ROLE SERVER_URL
  TRACK_USAGE USAGE_TRACK_INTERVAL USAGE_TRACK_URL`
  .split(/\s+/)
  .map((name) => `LMCACHE_${name}`);

const KNOWN = new Set([...SETTINGS.flatMap(({ names }) => names), ...Object.keys(LMCACHE_OTHER_KEYS), 'extra_config']);

describe('LMCache’s keys', () => {
  it('are all known, with their types', () => {
    expect(goldenKeys.keys).toHaveLength(108);
    expect(goldenKeys.keys.map(({ name }) => name).filter((name) => !KNOWN.has(name))).toEqual([]);
    const others = goldenKeys.keys
      .filter(({ name }) => name in LMCACHE_OTHER_KEYS)
      .map(({ name, type }) => [name, type]);
    const ofLastYear = ['plugin_locations', 'external_backends'];
    expect(Object.entries(LMCACHE_OTHER_KEYS).filter(([name]) => !ofLastYear.includes(name))).toEqual(others);
  });

  it('have LMCache’s types and defaults where they mean something here', async () => {
    const kinds: Record<string, string[]> = {
      int: ['integer', 'number'],
      float: ['number'],
      bool: ['boolean'],
      str: ['text', 'choice'],
      'Optional[int]': ['integer'],
      'Optional[str]': ['text', 'paths', 'disk'],
    };
    const ours = goldenKeys.keys.flatMap((key) => {
      const setting = SETTINGS.find(({ place, names }) => place === 'top' && names.includes(key.name));
      return setting === undefined ? [] : [{ ...key, setting }];
    });
    expect(ours.length).toBeGreaterThan(15);
    for (const { name, type, setting } of ours) expect(kinds[type], name).toContain(setting.type.kind);
    const defaults = new Map((await load()).explain().map(({ key, value }) => [key, value]));
    const different = ours.filter((key) => key.default !== defaults.get(key.setting.names[0])).map(({ name }) => name);
    expect(different).toEqual(['pre_caching_hash_algorithm', 'gds_path', 'gds_buffer_size']);
  });

  it('are accepted from both sources and listed as unused where they mean nothing here', async () => {
    const names = Object.keys(LMCACHE_OTHER_KEYS);
    const fromFile = await loadYaml(names.map((name) => `${name}: null\n`).join(''));
    expect(fromFile.unused.map(({ key }) => key)).toEqual(names);
    expect(fromFile.unused[0]?.source).toMatch(/config\.yaml:1:1 local_cpu_use_hugepages$/);
    const fromEnv = await loadEnv(Object.fromEntries(names.map((name) => [`LMCACHE_${name.toUpperCase()}`, 'x'])));
    expect(fromEnv.unused.map(({ key }) => key)).toEqual(names);
  });

  it('of extra_config that backends and plugins read are listed as unused', async () => {
    const config = await loadYaml('extra_config:\n  nixl_path: /x\n  s3_num_io_threads: 8\n  use_odirect: true\n');
    expect(config.unused).toMatchObject([
      { key: 'extra_config.nixl_path', value: '/x' },
      { key: 'extra_config.s3_num_io_threads', value: 8 },
      { key: 'extra_config.use_odirect', value: true },
    ]);
    expect(config.unused[0]?.source).toMatch(/config\.yaml:2:3 extra_config\.nixl_path$/);
  });
});

describe('an unknown key', () => {
  it.each([
    ['chunk_size: 8\nchunksize: 9\n', /config\.yaml:2:1: .*chunksize \(value 9\).* chunk_size\./],
    ['Chunk_Size: 9\n', /chunk_size/],
    ['cufile_bufer_size: 1\n', /cufile_buffer_size/],
    ['remote_urls: a\n', /remote_url\b/],
    ['extra_confg: {}\n', /extra_config\b/],
    ['checksums: true\n', /extra_config\.kv_offload\.checksums/],
    [
      'extra_config:\n  gds_io_thread: 4\n',
      /config\.yaml:2:3: .*extra_config\.gds_io_thread .* extra_config\.gds_io_threads\./,
    ],
    ['extra_config:\n  kv_ofload: {}\n', /extra_config\.kv_offload\./],
    [
      'extra_config:\n  kv_offload:\n    slice_mb: 4\n',
      /config\.yaml:3:5: .*extra_config\.kv_offload\.slice_mb .* extra_config\.kv_offload\.slice_mib\./,
    ],
    ['extra_config:\n  kv_offload:\n    chunk_size: 4\n', /the nearest known one is chunk_size\./],
    ['extra_config: \'{"gds_io_thread": 4}\'\n', /config\.yaml:1:1: .*gds_io_threads/],
    ['__proto__: {polluted: true}\n', /__proto__/],
    ['constructor: 1\n', /constructor/],
    ['5: 1\n', /unknown setting 5 /],
  ])('in YAML is an error that names place, value and the nearest: %j', async (text, message) => {
    const error = await refusal(loadYaml(text));
    expect(error.code).toBe('KVO_CONFIG_UNKNOWN_KEY');
    expect(error.message).toMatch(message);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('in overrides is one too', async () => {
    const error = await refusal(load({ overrides: JSON.parse('{"__proto__": 1}') as Record<string, unknown> }));
    expect(error.code).toBe('KVO_CONFIG_UNKNOWN_KEY');
    expect(error.message).toMatch(/^overrides: unknown setting __proto__ /);
  });

  it('of any length gives a message of a line', async () => {
    const error = await refusal(load({ overrides: { ['x'.repeat(1_000_000)]: 'y'.repeat(1_000_000) } }));
    expect(error.message.length).toBeLessThan(400);
  });
});

describe('an LMCACHE_ variable that is no setting', () => {
  it('is listed as unused', async () => {
    const config = await loadEnv(Object.fromEntries(READ_BY_LMCACHE.map((name) => [name, '1'])));
    expect(config.unused.map(({ key }) => key)).toEqual(READ_BY_LMCACHE);
  });

  it.each([
    ['LMCACHE_CHUNK_SIZ', 'LMCACHE_CHUNK_SIZE'],
    ['LMCACHE_CHUNKSIZES', 'LMCACHE_CHUNK_SIZE'],
    ['LMCACHE_chunk_size', 'LMCACHE_CHUNK_SIZE'],
    ['LMCACHE_REMOTEURL', 'LMCACHE_REMOTE_URL'],
    ['LMCACHE_WEKA_PATHS', 'LMCACHE_WEKA_PATH'],
    ['LMCACHE_EXTRA_CONFIGS', 'LMCACHE_EXTRA_CONFIG'],
    ['LMCACHE_CONFIG_FLE', 'LMCACHE_CONFIG_FILE'],
    ['LMCACHE_USE_EXPERIMENTL', 'LMCACHE_USE_EXPERIMENTAL'],
    ['LMCACHE_GDS_IO_THREADS', `LMCACHE_EXTRA_CONFIG='{"gds_io_threads": …}'`],
  ])('is an error within two edits of a setting: %s', async (name, meant) => {
    const error = await refusal(loadEnv({ [name]: '4' }));
    expect(error.code).toBe('KVO_CONFIG_UNKNOWN_KEY');
    expect(error.message).toBe(
      `environment: unknown setting ${name} (value "4"); the nearest known one is ${meant}. Correct or remove it.`,
    );
  });

  it('is listed as unused three edits away', async () => {
    expect((await loadEnv({ LMCACHE_CHUNK_SIZExyz: '4' })).unused).toHaveLength(1);
  });
});

describe('a KV_OFFLOAD_ variable', () => {
  it('sets each of our own settings', async () => {
    const config = await loadEnv({
      KV_OFFLOAD_CHECKSUMS: 'false',
      KV_OFFLOAD_SYNC: 'true',
      KV_OFFLOAD_SLICE_MIB: '8',
      KV_OFFLOAD_OPEN_FILES: '0',
      KV_OFFLOAD_REQUIRE_GDS: 'TRUE',
      KV_OFFLOAD_DEVICE_INDEX: '-1',
      KV_OFFLOAD_PYTHON_VERSION: '3.10',
      KV_OFFLOAD_ADDON: '/some/addon.node',
    });
    expect(config).toMatchObject({
      checksums: false,
      sync: true,
      sliceMiB: 8,
      openFiles: 0,
      requireGds: true,
      deviceIndex: -1,
      pythonVersion: '3.10',
      unused: [],
    });
  });

  it.each([
    ['KV_OFFLOAD_CHECKSUM', 'KV_OFFLOAD_CHECKSUMS'],
    ['KV_OFFLOAD_CHUNK_SIZE', 'LMCACHE_CHUNK_SIZE'],
    ['KV_OFFLOAD_', 'KV_OFFLOAD_SYNC'],
  ])('that is unknown is an error: %s', async (name, meant) => {
    const error = await refusal(loadEnv({ [name]: '1' }));
    expect(error.code).toBe('KVO_CONFIG_UNKNOWN_KEY');
    expect(error.message).toContain(`the nearest known one is ${meant}.`);
  });
});

describe('what only the environment may set', () => {
  it.each(['use_experimental', 'LMCACHE_USE_EXPERIMENTAL', 'PYTHONHASHSEED'])(
    '%s in YAML is an error that says so',
    async (key) => {
      const error = await refusal(loadYaml(`${key}: true\n`));
      expect(error.code).toBe('KVO_CONFIG_UNKNOWN_KEY');
      expect(error.message).toContain('may only be set through the environment');
    },
  );

  it.each(['False', '0', 'no', ''])('LMCACHE_USE_EXPERIMENTAL=%s is an error that says why', async (text) => {
    const error = await refusal(loadEnv({ LMCACHE_USE_EXPERIMENTAL: text }));
    expect(error.code).toBe('KVO_CONFIG_INVALID_VALUE');
    expect(error.message).toContain('V1 engine');
  });
});

describe('the edit distance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['chunk_size', 'chunksize', 1],
    ['ab', 'ba', 2],
  ])('of %j and %j is %i', (a, b, distance) => {
    expect([editDistance(a, b), editDistance(b, a)]).toEqual([distance, distance]);
  });

  it('finds the first of the nearest, letter case aside, and nothing among nothing', () => {
    expect(nearest('SYNK', ['sink', 'sync'])).toEqual({ name: 'sink', distance: 1 });
    expect(nearest('x', [])).toBeUndefined();
  });
});
