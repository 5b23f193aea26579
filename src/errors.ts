/**
 * Every error a user can meet, by its stable `code`.
 *
 * A message says what was wrong, where it came from, and what to do. The code is part of the API and never
 * changes its meaning; the message may.
 */

/** One row a code: whether the same call may succeed later without a change, and what it means. */
export const ERROR_CODES = {
  KVO_CONFIG_UNKNOWN_KEY: { retriable: false, meaning: 'a setting that neither LMCache nor kv-offload knows' },
  KVO_CONFIG_INVALID_VALUE: {
    retriable: false,
    meaning: 'a setting whose value has the wrong type or is out of bounds',
  },
  KVO_CONFIG_CONFLICT: { retriable: false, meaning: 'two spellings of one setting with different values' },
  KVO_CONFIG_PARSE: { retriable: false, meaning: 'YAML or JSON text that does not parse' },
  KVO_CONFIG_FILE: { retriable: false, meaning: 'a configuration file that cannot be read' },

  KVO_ARGUMENT_INVALID: { retriable: false, meaning: 'an argument of the wrong type or out of bounds' },
  KVO_TOKENS_INVALID: { retriable: false, meaning: 'tokens that are not integers from 0 to 2^53 - 1' },
  KVO_MASK_INVALID: {
    retriable: false,
    meaning: 'a skipped prefix that is not a multiple of chunk_size, or longer than the tokens',
  },
  KVO_MODEL_INVALID: { retriable: false, meaning: 'a model description that contradicts itself or the configuration' },
  KVO_DTYPE_UNKNOWN: { retriable: false, meaning: 'a dtype name that is neither torch’s, nor a key’s, nor a header’s' },
  KVO_SHAPE_MISMATCH: { retriable: false, meaning: 'memory whose bytes do not fit the chunk’s shape and dtype' },
  KVO_KEY_INVALID: { retriable: false, meaning: 'a chunk key that does not parse' },
  KVO_KEY_TOO_LONG: { retriable: false, meaning: 'a chunk key whose file name passes 255 bytes' },
  KVO_MEMORY_INVALID: {
    retriable: false,
    meaning: 'memory that cannot be used: detached, resizable, out of range or not a buffer',
  },
  KVO_UNSUPPORTED: { retriable: false, meaning: 'a setting or call that this version does not implement' },

  KVO_PATH_UNUSABLE: {
    retriable: false,
    meaning: 'a cache directory that cannot be made, is not a directory, or cannot be read',
  },
  KVO_READ_ONLY: { retriable: false, meaning: 'a store into a read-only filesystem' },
  KVO_PERMISSION: { retriable: false, meaning: 'an operation the process may not do on that path' },
  KVO_NO_SPACE: { retriable: true, meaning: 'no space or quota left' },
  KVO_TOO_MANY_FILES: { retriable: true, meaning: 'the process or system is out of file descriptors' },
  KVO_IO: { retriable: true, meaning: 'a system call that failed for another reason' },
  KVO_IO_STUCK: {
    retriable: false,
    meaning: 'an operation stuck in the kernel past blocking_timeout_secs; its memory is never used again',
  },
  KVO_NOT_FOUND: { retriable: false, meaning: 'no chunk under that key or path' },
  KVO_HEADER_INVALID: { retriable: false, meaning: 'a file whose header is truncated, foreign or contradicts itself' },
  KVO_CHUNK_CORRUPT: { retriable: false, meaning: 'a chunk whose size, key or sums differ from what its header says' },
  KVO_CHUNK_COLLISION: { retriable: false, meaning: 'a chunk of another prompt that has the same 64-bit hash' },

  KVO_CLOSED: { retriable: false, meaning: 'use after close' },
  KVO_ABORTED: { retriable: true, meaning: 'dropped because its AbortSignal fired' },
  KVO_BUSY: { retriable: true, meaning: 'all slots of the registered buffer were out until the deadline' },
  KVO_SLOT_RELEASED: { retriable: false, meaning: 'a slot used after it was given back' },
  KVO_NOT_FIRST_RANK: { retriable: false, meaning: 'a store dropped because only worker 0 saves this model' },
  KVO_DEVICE_UNAVAILABLE: { retriable: false, meaning: 'no CUDA driver, or no such GPU' },
  KVO_DEVICE_MEMORY: { retriable: true, meaning: 'GPU memory, or pinned host memory, that could not be had' },
  KVO_CUDA: { retriable: false, meaning: 'a call of CUDA’s that failed' },
  KVO_GDS: { retriable: true, meaning: 'a call of cuFile’s that failed' },
  KVO_TRANSPORT_UNAVAILABLE: { retriable: false, meaning: 'the required transport is not available' },
  KVO_NATIVE_MISSING: { retriable: false, meaning: 'no native addon for this platform' },
} as const satisfies Record<string, { retriable: boolean; meaning: string }>;

/** A stable error code; a key of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The error this library throws and rejects with. */
export class KVOffloadError extends Error {
  override readonly name = 'KVOffloadError';
  /** Stable name of what went wrong. */
  readonly code: ErrorCode;
  /** True where the same call may succeed later without a change. */
  readonly retriable: boolean;

  /**
   * @param code - a key of {@link ERROR_CODES}
   * @param message - what was wrong, where it came from, what to do
   * @param cause - the error below this one, if any
   */
  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retriable = ERROR_CODES[code].retriable;
  }
}
