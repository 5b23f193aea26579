/** Releases of LMCache: how they are written and ordered, and what of hashing and storing went by release. */
import type { HashRegime } from './hash-algorithms.js';

/** The release whose formats are the default; no later one was looked at. */
export const CURRENT_LMCACHE = '0.5.6';

/** From 0.3.6 on, before which chunks were hashed and laid out otherwise, through all of 0.5. */
export const LMCACHE_VERSION = /^0\.(?:3\.(?:[6-9]|[1-9][0-9])|[45]\.(?:0|[1-9][0-9]{0,2}))(?:\.?post[0-9]{1,3})?$/;

/** Whether a release is `since` or a later one; post-releases count as what they follow. Both as {@link LMCACHE_VERSION}. */
export function isSince(version: string, since: string): boolean {
  return rank(version) >= rank(since);
}

function rank(version: string): number {
  const [, minor, patch] = /^0\.([0-9]+)\.([0-9]+)/.exec(version) ?? [];
  return Number(minor) * 1000 + Number(patch);
}

/** From which release on chunks are hashed in which regime, the newest first. */
const REGIMES: readonly { readonly since: string; readonly regime: HashRegime }[] = [
  { since: '0.4.6', regime: 'C' },
  { since: '0.3.16', regime: 'B-empty' },
  { since: '0.3.13', regime: 'B-none' },
  { since: '0.3.6', regime: 'A' },
];

/** The regime that a release hashes in. */
export function regimeOf(version: string): HashRegime {
  return REGIMES.find(({ since }) => isSince(version, since))?.regime ?? 'C';
}

/** A release's default of `save_unfull_chunk`. */
export function savesUnfullChunk(version: string): boolean {
  return !isSince(version, '0.3.11');
}
