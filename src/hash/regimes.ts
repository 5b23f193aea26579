/**
 * What LMCache hashes beside the tokens, and what it keeps of a digest. Both went by release (docs/on-disk-format.md,
 * section 8); chunks of one regime are never hit in another.
 */
import type { HashAlgorithm, HashRegime } from '../config/index.js';
import { KVOffloadError } from '../errors.js';

/** One regime. */
export interface Regime {
  readonly name: HashRegime;
  /** What becomes of a digest: its last or first 8 bytes as a big-endian integer, or all of it as bytes. */
  readonly keeps: 'last8' | 'all' | 'first8';
  /** The hashed tuple's third member: None, or the empty tuple. */
  readonly extra: 'none' | 'empty';
  /** The algorithms that it is known of; absent: all. */
  readonly only?: readonly HashAlgorithm[];
}

/** Every regime. The whole digests of B are known of `sha256_cbor`; that other digests are kept alike follows from how. */
const REGIMES: Readonly<Record<HashRegime, Regime>> = {
  A: { name: 'A', keeps: 'last8', extra: 'none', only: ['sha256_cbor', 'builtin'] },
  'B-none': { name: 'B-none', keeps: 'all', extra: 'none' },
  'B-empty': { name: 'B-empty', keeps: 'all', extra: 'empty' },
  C: { name: 'C', keeps: 'first8', extra: 'empty' },
};

/** A regime by name. @throws KVOffloadError `KVO_CONFIG_INVALID_VALUE` where it is not known of the algorithm */
export function regimeFor(algorithm: HashAlgorithm, name: HashRegime): Regime {
  const regime = REGIMES[name];
  if (regime.only?.includes(algorithm) === false) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `hash regime ${name} (LMCache 0.3.6 to 0.3.12) is known of ${regime.only.join(' and ')}, not of ${algorithm}; ` +
        'use one of them, or set hash_regime apart from lmcache_version',
    );
  }
  return regime;
}
