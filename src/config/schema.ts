/**
 * The table of settings: one row each, from which validation, defaults, environment names, errors and
 * docs/configuration.md follow. LMCache's names, types and defaults are those of its configuration in 0.5.6, with the
 * older spellings `weka_path`, `cufile_buffer_size` (until 0.4.3) and `gds_io_threads` (until 0.5.2).
 */
import { availableParallelism } from 'node:os';
import { defaultPaths } from './default-paths.js';
import { DEVICE, deviceNumber } from './device.js';
import { HASH_ALGORITHMS, HASH_REGIMES } from './hash-algorithms.js';
import { CURRENT_LMCACHE, LMCACHE_VERSION, regimeOf, savesUnfullChunk } from './lmcache-version.js';
import type { SettingType } from './setting-type.js';
import type { ConfigValues, Environment, SettingStatus } from './types.js';

export { HASH_ALGORITHMS, HASH_REGIMES } from './hash-algorithms.js';
export type { HashAlgorithm, HashRegime } from './hash-algorithms.js';

/**
 * Where a setting is written. top: a key of the YAML file, and `LMCACHE_<NAME>`. extra: a key of `extra_config`.
 * own: a key of `extra_config.kv_offload`, and `KV_OFFLOAD_<NAME>`. environment: a variable only, under its full name.
 */
export type Place = 'top' | 'extra' | 'own' | 'environment';

/** The value of another setting, for a default that depends on it. */
export type ValueOf = <Property extends keyof ConfigValues>(property: Property) => ConfigValues[Property];

interface Row<Value> {
  readonly place: Place;
  /** Spellings of one setting, the one LMCache reads today first. */
  readonly names: readonly [string, ...string[]];
  readonly type: SettingType;
  /** A function where it depends on the machine, the environment or another setting; `defaultText` says how. */
  readonly default: Value | ((env: Environment, valueOf: ValueOf) => Value);
  readonly defaultText?: string;
  readonly unit?: string;
  /** Optional in LMCache: null means not set. */
  readonly nullable?: true;
  readonly doc: string;
}

export interface Setting extends Row<unknown> {
  readonly property?: keyof ConfigValues;
  readonly status: SettingStatus;
}

/** A wait longer than this overflows Node's timers, which would then fire at once. */
const LONGEST_WAIT_SECS = 2_147_483;

/** Settings with an effect. The compiler holds them to {@link ConfigValues}: none missing, defaults of the right type. */
const ACTIVE: { readonly [Property in keyof ConfigValues]: Row<ConfigValues[Property]> } = {
  chunkSize: {
    place: 'top',
    names: ['chunk_size'],
    type: { kind: 'integer', min: 1 },
    default: 256,
    unit: 'tokens',
    doc: 'Tokens a chunk; must equal the chunk dimension of the model’s KV shape.',
  },
  paths: {
    place: 'top',
    names: ['gds_path', 'weka_path'],
    type: { kind: 'paths' },
    default: defaultPaths,
    defaultText: '`$XDG_CACHE_HOME/kv-offload`, or `~/.cache/kv-offload`',
    nullable: true,
    doc: 'Where chunks live. Of several directories a process writes to one and reads all. A leading `~` is not expanded.',
  },
  bufferMiB: {
    place: 'top',
    names: ['gds_buffer_size', 'cufile_buffer_size'],
    // 16 TiB; its bytes are an exact number by far.
    type: { kind: 'integer', min: 1, max: 16_777_216 },
    default: 512,
    unit: 'MiB',
    nullable: true,
    doc: 'Size of the registered buffer that chunks are staged in.',
  },
  gdsPathSharding: {
    place: 'top',
    names: ['gds_path_sharding'],
    type: { kind: 'choice', values: ['by_gpu'] },
    default: 'by_gpu',
    doc: 'How a process chooses, of several directories, the one it writes to: by `device_index`.',
  },
  useGds: {
    place: 'top',
    names: ['use_gds'],
    type: { kind: 'boolean' },
    default: true,
    doc: 'Use GPUDirect Storage where it works; false: POSIX I/O.',
  },
  saveUnfullChunk: {
    place: 'top',
    names: ['save_unfull_chunk'],
    type: { kind: 'boolean' },
    default: (_, valueOf) => savesUnfullChunk(valueOf('lmcacheVersion')),
    defaultText: '`false`; `true` where `lmcache_version` is 0.3.10 or older',
    doc: 'Store a tail shorter than a chunk too.',
  },
  preCachingHashAlgorithm: {
    place: 'top',
    names: ['pre_caching_hash_algorithm'],
    type: { kind: 'choice', values: HASH_ALGORITHMS },
    default: HASH_ALGORITHMS[0],
    doc: 'The hash that names chunks. LMCache’s default is `builtin`: set it in a file that both read.',
  },
  minRetrieveTokens: {
    place: 'top',
    names: ['min_retrieve_tokens'],
    type: { kind: 'integer', min: 0 },
    default: 0,
    unit: 'tokens',
    doc: 'Hits of fewer tokens are not retrieved.',
  },
  blockingTimeoutSecs: {
    place: 'top',
    names: ['blocking_timeout_secs'],
    type: { kind: 'number', min: 0.001, max: LONGEST_WAIT_SECS },
    default: 10,
    unit: 's',
    doc: 'A system call that takes longer is given up, and its memory is never used again. LMCache takes whole seconds only.',
  },
  useLayerwise: {
    place: 'top',
    names: ['use_layerwise'],
    type: { kind: 'boolean' },
    default: false,
    doc: 'One object a layer: `storeLayer` and `retrieveLayer`. Not for MLA models.',
  },
  ioThreads: {
    place: 'extra',
    names: ['disk_io_threads', 'gds_io_threads'],
    type: { kind: 'integer', min: 1, max: 512 },
    default: (_, valueOf) => Math.min(16, (valueOf('device') === 'cpu' ? 2 : 1) * availableParallelism()),
    defaultText:
      '16, or twice the cores where that is less; on a GPU, one a core at most, and 32 for GPUDirect Storage',
    doc: 'Threads that move bytes. LMCache reads `gds_io_threads` until 0.5.2 and `disk_io_threads` from 0.5.3 on.',
  },
  useDirectIo: {
    place: 'extra',
    names: ['use_direct_io'],
    type: { kind: 'boolean' },
    default: false,
    doc: 'Open files with O_DIRECT where the filesystem takes it.',
  },
  maxAllocAttempts: {
    place: 'extra',
    names: ['max_alloc_attempts'],
    type: { kind: 'integer', min: 1 },
    default: 10,
    doc: 'Attempts to get a slot of the registered buffer before a chunk is dropped.',
  },
  allocationAttemptDelaySecs: {
    place: 'extra',
    names: ['allocation_attempt_delay_secs'],
    type: { kind: 'number', min: 0, max: LONGEST_WAIT_SECS },
    default: 0.1,
    unit: 's',
    doc: 'Wait between two such attempts.',
  },
  saveOnlyFirstRank: {
    place: 'extra',
    names: ['save_only_first_rank'],
    type: { kind: 'boolean' },
    default: undefined,
    defaultText: 'true for MLA models, else false',
    nullable: true,
    doc: 'Only worker 0 stores, since every rank holds the same KV.',
  },
  checksums: {
    place: 'own',
    names: ['checksums'],
    type: { kind: 'boolean' },
    default: (_, valueOf) => valueOf('device') === 'cpu',
    defaultText: '`true`; `false` on a GPU, where they cost a tenth of a retrieve and a quarter of a store',
    doc: 'Write sums of a chunk’s payload, and compare them.',
  },
  sync: {
    place: 'own',
    names: ['sync'],
    type: { kind: 'boolean' },
    default: false,
    doc: 'fsync a chunk before it is published, so that it survives a power failure.',
  },
  sliceMiB: {
    place: 'own',
    names: ['slice_mib'],
    type: { kind: 'integer', min: 1, max: 1024 },
    default: 4,
    unit: 'MiB',
    doc: 'What a thread moves before another may take the chunk’s next slice.',
  },
  openFiles: {
    place: 'own',
    names: ['open_files'],
    type: { kind: 'integer', min: 0, max: 1_000_000 },
    default: 1024,
    unit: 'files',
    doc: 'Files kept open for reading, at most.',
  },
  device: {
    place: 'own',
    names: ['device'],
    type: {
      kind: 'pattern',
      pattern: DEVICE,
      name: 'device',
      expected: '"cpu", "cuda", or "cuda:" and a number, such as "cuda:1"',
    },
    default: 'cpu',
    doc: 'Where the registered buffer lies: host memory, or the memory of a GPU.',
  },
  transport: {
    place: 'own',
    names: ['transport'],
    type: { kind: 'choice', values: ['auto', 'gds', 'staged'] },
    default: 'auto',
    doc: 'How bytes move to and from a GPU: cuFile where they really go direct (`auto`), cuFile in any case, or through pinned host memory.',
  },
  libcudaPath: {
    place: 'own',
    names: ['libcuda_path'],
    type: { kind: 'text' },
    default: undefined,
    defaultText: '`libcuda.so.1`, as the loader finds it',
    nullable: true,
    doc: 'CUDA’s driver library.',
  },
  libcufilePath: {
    place: 'own',
    names: ['libcufile_path'],
    type: { kind: 'text' },
    default: undefined,
    defaultText: '`libcufile.so.0` or `libcufile.so`, as the loader finds it',
    nullable: true,
    doc: 'cuFile’s library.',
  },
  cufileConfig: {
    place: 'own',
    names: ['cufile_config'],
    type: { kind: 'text' },
    default: undefined,
    defaultText: 'the one that cuFile finds: `CUFILE_ENV_PATH_JSON`, or `/etc/cufile.json`',
    nullable: true,
    doc: 'The cufile.json that cuFile is pointed at, before its driver opens.',
  },
  requireGds: {
    place: 'own',
    names: ['require_gds'],
    type: { kind: 'boolean' },
    default: false,
    doc: 'Refuse any transport but GPUDirect Storage.',
  },
  deviceIndex: {
    place: 'own',
    names: ['device_index'],
    type: { kind: 'integer' },
    default: (_, valueOf) => deviceNumber(valueOf('device')) ?? 0,
    defaultText: 'the number of `device`; 0 for `cpu`',
    doc: 'Which of n directories is written: number device_index mod n, so that −1 is the last.',
  },
  lmcacheVersion: {
    place: 'own',
    names: ['lmcache_version'],
    type: {
      kind: 'pattern',
      pattern: LMCACHE_VERSION,
      name: 'LMCache version',
      expected: `a release of LMCache from "0.3.6" to "0.5.x", such as "${CURRENT_LMCACHE}"`,
    },
    default: CURRENT_LMCACHE,
    doc: 'The LMCache whose files are read and written: it chooses keys, names, headers and the hash regime.',
  },
  hashRegime: {
    place: 'own',
    names: ['hash_regime'],
    type: { kind: 'choice', values: HASH_REGIMES },
    default: (_, valueOf) => regimeOf(valueOf('lmcacheVersion')),
    defaultText: 'that of `lmcache_version`; `C` for today’s',
    doc: 'What chunk hashes are made of and cut to; see below.',
  },
  noneHash: {
    place: 'own',
    names: ['none_hash'],
    type: { kind: 'choice', values: ['vllm', 'zero'] },
    default: 'vllm',
    doc: 'What stands before the first chunk: vLLM’s hash of the seed, or 0, as in LMCache without vLLM.',
  },
  pythonVersion: {
    place: 'own',
    names: ['python_version'],
    type: {
      kind: 'pattern',
      // Before 3.4 str was not hashed with SipHash.
      pattern: /^3\.([4-9]|[1-9]\d)$/,
      name: 'Python version',
      expected: 'a Python version in quotes, from "3.4" on, such as "3.11"',
    },
    default: '3.11',
    doc: 'The Python whose hash() the algorithm `builtin` reproduces: up to 3.10, or from 3.11 on; in regimes A and B-none from 3.12 on.',
  },
  hashSeed: {
    place: 'environment',
    names: ['PYTHONHASHSEED'],
    type: { kind: 'seed' },
    default: undefined,
    defaultText: 'not set',
    doc: 'Seed of the chunk hashes, as in vLLM; must be the same in all processes that share. `random` counts as not set.',
  },
};

/** Settings that LMCache has, checked and shown, without effect in this version. */
const ACCEPTED: readonly Row<unknown>[] = [
  { place: 'top', names: ['local_cpu'], type: { kind: 'boolean' }, default: true, doc: 'Keep a CPU-memory tier.' },
  {
    place: 'top',
    names: ['max_local_cpu_size'],
    type: { kind: 'number', min: 0 },
    default: 5,
    unit: 'GiB',
    doc: 'Size of the CPU-memory tier.',
  },
  {
    place: 'top',
    names: ['local_disk'],
    type: { kind: 'disk' },
    default: null,
    defaultText: 'not set',
    nullable: true,
    doc: 'Directory of the local-disk tier.',
  },
  {
    place: 'top',
    names: ['max_local_disk_size'],
    type: { kind: 'number', min: 0 },
    default: 0,
    unit: 'GiB',
    doc: 'Size of the local-disk tier.',
  },
  {
    place: 'top',
    names: ['cache_policy'],
    type: { kind: 'choice', values: ['LRU', 'LFU', 'FIFO', 'MRU'], ignoreCase: true },
    default: 'LRU',
    doc: 'What a full tier evicts first.',
  },
  {
    place: 'top',
    names: ['save_decode_cache'],
    type: { kind: 'boolean' },
    default: false,
    doc: 'Store the KV of generated tokens too.',
  },
  {
    place: 'top',
    names: ['gds_backend'],
    type: { kind: 'text' },
    default: 'cufile',
    doc: 'Library of GPUDirect Storage.',
  },
  {
    place: 'top',
    names: ['lmcache_instance_id'],
    type: { kind: 'text' },
    default: null,
    defaultText: 'not set',
    nullable: true,
    doc: 'Name of this process to LMCache’s controller.',
  },
  {
    place: 'environment',
    names: ['LMCACHE_USE_EXPERIMENTAL'],
    type: {
      kind: 'true',
      why: 'it chose LMCache’s V1 engine, whose formats are the only ones here; remove it or set it to True',
    },
    default: true,
    doc: 'Chose LMCache’s V1 engine, once an experiment and now the only one.',
  },
];

/** Every setting, once. */
export const SETTINGS: readonly Setting[] = [
  ...Object.entries(ACTIVE).map(([property, row]): Setting => ({
    ...row,
    property: property as keyof ConfigValues,
    status: 'active',
  })),
  ...ACCEPTED.map((row): Setting => ({ ...row, status: 'accepted' })),
];
