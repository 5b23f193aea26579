/** What `loadConfig` takes and returns. */
import type { HashAlgorithm, HashRegime } from './hash-algorithms.js';

/** The settings that have an effect, each under LMCache's name in camel case or one of our own. */
export interface ConfigValues {
  /** Tokens a chunk. `chunk_size`, default 256. */
  readonly chunkSize: number;
  /** Base directories of the cache, at least one. `weka_path` or `gds_path`, default `$XDG_CACHE_HOME/kv-offload`. */
  readonly paths: readonly string[];
  /** Size of the registered buffer in MiB. `cufile_buffer_size` or `gds_buffer_size`, default 512. */
  readonly bufferMiB: number;
  /** How a process chooses the path it writes to. `gds_path_sharding`, default and only value `by_gpu`. */
  readonly gdsPathSharding: 'by_gpu';
  /** False: POSIX I/O even where GPUDirect Storage works. `use_gds`, default true. */
  readonly useGds: boolean;
  /** Threads that move bytes. `disk_io_threads` or `gds_io_threads`, default by transport: 32 for GPUDirect Storage, else 16 or fewer. */
  readonly ioThreads: number;
  /** Open with O_DIRECT where the filesystem takes it. `use_direct_io`, default false. */
  readonly useDirectIo: boolean;
  /** Store a tail shorter than a chunk too. `save_unfull_chunk`, default false, true for LMCache 0.3.10 and older. */
  readonly saveUnfullChunk: boolean;
  /** The hash that names chunks. `pre_caching_hash_algorithm`, default `sha256_cbor` (LMCache: `builtin`). */
  readonly preCachingHashAlgorithm: HashAlgorithm;
  /** Text of `PYTHONHASHSEED`, a decimal number; undefined where it is unset or `random`. */
  readonly hashSeed: string | undefined;
  /** Seconds after which a system call is given up. `blocking_timeout_secs`, default 10. */
  readonly blockingTimeoutSecs: number;
  /** Hits of fewer tokens are not retrieved. `min_retrieve_tokens`, default 0. */
  readonly minRetrieveTokens: number;
  /** Only rank 0 stores. `save_only_first_rank`; undefined: true for MLA models, else false. */
  readonly saveOnlyFirstRank: boolean | undefined;
  /** Attempts to get a slot of the buffer. `max_alloc_attempts`, default 10. */
  readonly maxAllocAttempts: number;
  /** Seconds between two such attempts. `allocation_attempt_delay_secs`, default 0.1. */
  readonly allocationAttemptDelaySecs: number;
  /** One object a layer. `use_layerwise`, default false; not for MLA models. */
  readonly useLayerwise: boolean;
  /** Write sums of a chunk's payload on store, and compare them on retrieve. `kv_offload.checksums`, default true; false on a GPU. */
  readonly checksums: boolean;
  /** fsync before a chunk is published. `kv_offload.sync`, default false. */
  readonly sync: boolean;
  /** MiB a thread moves before another may take the chunk's next slice. `kv_offload.slice_mib`, default 4. */
  readonly sliceMiB: number;
  /** Files kept open for reading, at most. `kv_offload.open_files`, default 1024. */
  readonly openFiles: number;
  /** Where the registered buffer lies: host memory (`cpu`), or a GPU's (`cuda`, `cuda:N`). `kv_offload.device`, default `cpu`. */
  readonly device: string;
  /** How bytes move to and from a GPU. `kv_offload.transport`, default `auto`. */
  readonly transport: 'auto' | 'gds' | 'staged';
  /** CUDA's driver library. `kv_offload.libcuda_path`; undefined: the one that the loader finds. */
  readonly libcudaPath: string | undefined;
  /** cuFile's library. `kv_offload.libcufile_path`; undefined: the one that the loader finds. */
  readonly libcufilePath: string | undefined;
  /** The cufile.json that cuFile is pointed at. `kv_offload.cufile_config`; undefined: the one that it finds. */
  readonly cufileConfig: string | undefined;
  /** Refuse any transport but GPUDirect Storage. `kv_offload.require_gds`, default false. */
  readonly requireGds: boolean;
  /** Which of several paths is written: `paths[deviceIndex mod n]`. `kv_offload.device_index`, default that of `device`. */
  readonly deviceIndex: number;
  /** The LMCache whose files are read and written. `kv_offload.lmcache_version`, default `0.5.6`. */
  readonly lmcacheVersion: string;
  /** What chunk hashes are made of and cut to. `kv_offload.hash_regime`, default that of `lmcacheVersion`. */
  readonly hashRegime: HashRegime;
  /** What stands before the first chunk: vLLM's hash of the seed, or 0. `kv_offload.none_hash`, default `vllm`. */
  readonly noneHash: 'vllm' | 'zero';
  /** The Python whose `hash()` the algorithm `builtin` reproduces. `kv_offload.python_version`, default `3.11`. */
  readonly pythonVersion: string;
}

/** `active`: has an effect. `accepted`: checked and shown, without effect in this version. */
export type SettingStatus = 'active' | 'accepted';

/** One setting with its value and where that came from. */
export interface ConfigRow {
  /** As it is written: `chunk_size`, `extra_config.disk_io_threads`, `extra_config.kv_offload.sync`, `PYTHONHASHSEED`. */
  readonly key: string;
  /** Its name on the config object, where it has an effect. */
  readonly property?: keyof ConfigValues;
  /** null: not set and without a fixed default. */
  readonly value: unknown;
  /** `default`, `/etc/x.yaml:3:1 chunk_size`, `environment LMCACHE_CHUNK_SIZE`, `override chunk_size`. */
  readonly source: string;
  readonly status: SettingStatus;
  /** One line. */
  readonly doc: string;
}

/** A setting of LMCache's that means nothing here. Passwords in `value` are replaced by `***`. */
export interface UnusedSetting {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

/** The configuration: read once, deeply frozen. `JSON.stringify` gives its values, unused settings and warnings. */
export interface Config extends ConfigValues {
  /** LMCache's settings that were given and have no meaning here. */
  readonly unused: readonly UnusedSetting[];
  /** What was taken as meant, or will surprise. */
  readonly warnings: readonly string[];
  /** Every setting with its value and where it came from. */
  readonly explain: () => readonly ConfigRow[];
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadConfigOptions {
  /** Environment variables. Default `process.env`. */
  readonly env?: Environment;
  /** YAML file, in place of the one `LMCACHE_CONFIG_FILE` names. */
  readonly file?: string;
  /** Settings that win over file and environment, in the form of the YAML file: `{ chunk_size: 256, extra_config: { … } }`. */
  readonly overrides?: Readonly<Record<string, unknown>>;
}
