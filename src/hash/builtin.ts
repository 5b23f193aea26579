/** LMCache's `builtin`: CPython's own hash() of the tuple. Its inner loop is 64-bit arithmetic, so it runs natively. */
import { KVOffloadError } from '../errors.js';
import { native } from '../native.js';
import type { Regime } from './regimes.js';
import { type HashRow, type SeedSource, UNSEEDED, badLink } from './row.js';

const LARGEST_SEED = 2 ** 32 - 1;

/** SipHash-1-3 hashes a str from this minor version of Python 3 on, SipHash-2-4 before. */
const FIRST_SIPHASH_13 = 11;
/** Tuples were hashed otherwise before this minor version. */
const FIRST_TUPLE_HASH = 8;

/** hash(None) is a constant from this minor version on; before, it is an address, which differs a process. */
const FIRST_HASH_OF_NONE = 12;

/** CPython's hash(), reproducible from `PYTHONHASHSEED` and the Python version. It has no digest to cut. */
export const builtin: HashRow = {
  noneHash({ seed, pythonVersion }: SeedSource, { extra, name }: Regime) {
    const text = seed ?? UNSEEDED;
    const minor = minorVersion(pythonVersion);
    if (extra === 'none' && minor < FIRST_HASH_OF_NONE) {
      throw new KVOffloadError(
        'KVO_CONFIG_INVALID_VALUE',
        `builtin in hash regime ${name} hashes None, which Python ${pythonVersion} hashes otherwise in every process; ` +
          'no cache can be shared so. Set python_version to 3.12 or later if that is what runs there, or use sha256_cbor',
      );
    }
    const rounds = minor >= FIRST_SIPHASH_13 ? '1-3' : '2-4';
    return native().pythonStringHash(new TextEncoder().encode(text), keySeed(seed), rounds);
  },
  chain(tokens, chunkSize, noneHash, tail, { extra }) {
    if (typeof noneHash !== 'bigint' || BigInt.asIntN(64, noneHash) !== noneHash) {
      throw badLink(noneHash, 'an integer from -2^63 to 2^63 - 1');
    }
    return Array.from(native().hashChain('builtin', noneHash, tokens, chunkSize, tail, extra));
  },
};

/**
 * The number that makes the SipHash key. Unset, empty and `random` give Python a key of its own a process, which
 * nothing could share: ours is then that of seed 0.
 */
function keySeed(seed: string | undefined): number {
  if (seed === undefined || seed === '' || seed === 'random') return 0;
  const value = /^[0-9]+$/.test(seed) ? Number(seed) : Infinity;
  if (value > LARGEST_SEED) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `PYTHONHASHSEED is ${JSON.stringify(seed)}; Python takes random or an integer from 0 to ${LARGEST_SEED}`,
    );
  }
  return value;
}

function minorVersion(pythonVersion: string): number {
  const minor = Number(/^3\.([0-9]{1,3})(?:\.[0-9]+)?$/.exec(pythonVersion)?.[1] ?? NaN);
  if (!(minor >= FIRST_TUPLE_HASH)) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `Python version ${JSON.stringify(pythonVersion)} is not 3.${FIRST_TUPLE_HASH} or later; give that of the vLLM that shares the cache, such as 3.11`,
    );
  }
  return minor;
}
