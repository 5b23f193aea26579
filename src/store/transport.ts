/** How bytes move, and why so: never a guess of the user's. */
import type { Config } from '../config/index.js';
import { KVOffloadError } from '../errors.js';
import type { Base } from './bases.js';

/** What {@link KVCacheEngine.transport} tells. */
export interface TransportInfo {
  /** `host`: files ↔ host memory. */
  readonly kind: 'host';
  /** Why this one. */
  readonly reason: string;
  /** Whether files are opened with O_DIRECT, and why or why not, by base path. */
  readonly io: readonly { readonly path: string; readonly mode: 'direct' | 'buffered'; readonly reason: string }[];
}

/** @throws KVOffloadError `KVO_TRANSPORT_UNAVAILABLE` where GPUDirect Storage is required */
export function checkTransport(config: Config): void {
  if (config.requireGds) {
    throw new KVOffloadError(
      'KVO_TRANSPORT_UNAVAILABLE',
      'require_gds is true, and this version moves bytes through host memory only; set it to false',
    );
  }
}

/** What moves bytes for such a configuration. */
export function describeTransport(config: Config, bases: readonly Base[]): TransportInfo {
  return {
    kind: 'host',
    reason: 'this version moves bytes between files and host memory; GPU memory is not implemented yet',
    io: bases.map(({ path, filesystem, directRefused }) => {
      if (!config.useDirectIo) return { path, mode: 'buffered', reason: 'use_direct_io is false' };
      if (directRefused === undefined) return { path, mode: 'direct', reason: 'use_direct_io is true' };
      return { path, mode: 'buffered', reason: `${filesystem} refuses O_DIRECT there (${directRefused})` };
    }),
  };
}
