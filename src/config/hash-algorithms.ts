/** Names of `pre_caching_hash_algorithm`, and of the ways in which LMCache has used them. */

/** All that LMCache has; the first is the default. LMCache takes another name for `builtin` without a word; here it is an error. */
export const HASH_ALGORITHMS = ['sha256_cbor', 'sha256', 'xxhash_cbor', 'xxhash', 'builtin'] as const;

/** A name of {@link HASH_ALGORITHMS}. */
export type HashAlgorithm = (typeof HASH_ALGORITHMS)[number];

/**
 * What a hash is made of and cut to, the oldest first: A, the low 64 bits of a digest, with None as extra keys; B, the
 * whole digest, with None, then with (); C, its first 64 bits, with (). None of them hits another's chunks.
 */
export const HASH_REGIMES = ['A', 'B-none', 'B-empty', 'C'] as const;

/** A name of {@link HASH_REGIMES}. */
export type HashRegime = (typeof HASH_REGIMES)[number];
