/** What a configuration that is valid will still surprise with. */
import { CURRENT_LMCACHE, isSince } from './lmcache-version.js';
import type { Given } from './recognise.js';
import type { Resolved } from './resolve.js';
import type { Setting } from './schema.js';
import type { HashAlgorithm } from './hash-algorithms.js';
import type { ConfigValues } from './types.js';

/** Algorithms that vLLM begins with random bytes, or a random key, where `PYTHONHASHSEED` is unset. */
const UNSEEDED_RANDOM: readonly string[] = ['builtin', 'xxhash', 'xxhash_cbor'] satisfies HashAlgorithm[];

/** One text a surprise. */
export function surprises(resolved: Map<Setting, Resolved>, given: readonly Given[]): string[] {
  const of = new Map<keyof ConfigValues, Resolved>();
  for (const one of resolved.values()) if (one.setting.property !== undefined) of.set(one.setting.property, one);
  const warnings: string[] = [];

  const threads = of.get('ioThreads');
  if (threads?.given?.name === 'gds_io_threads' && !given.some(({ name }) => name === 'disk_io_threads')) {
    warnings.push(
      `${threads.given.source}: LMCache ignores gds_io_threads from 0.5.3 on and uses 4 threads. ` +
        `If it reads this too, set disk_io_threads: ${String(threads.value)} beside it.`,
    );
  }

  const version = of.get('lmcacheVersion');
  if (version?.given !== undefined && isNewer(String(version.value))) {
    warnings.push(
      `${version.given.source}: LMCache ${String(version.value)} is newer than ${CURRENT_LMCACHE}, the last one looked at. ` +
        `Its files are taken to be those of ${CURRENT_LMCACHE}.`,
    );
  }

  const algorithm = of.get('preCachingHashAlgorithm');
  const paths = of.get('paths')?.given;
  if (of.get('hashSeed')?.value === undefined && of.get('noneHash')?.value === 'vllm') {
    const source = algorithm?.given?.source ?? version?.given?.source ?? 'default';
    if (UNSEEDED_RANDOM.includes(String(algorithm?.value))) {
      warnings.push(
        `${source}: ${String(algorithm?.value)} without PYTHONHASHSEED is deterministic across our processes only, and shared ` +
          'with no vLLM, where it is then random a process. Set PYTHONHASHSEED to the same number everywhere, or use sha256_cbor.',
      );
    } else if (of.get('hashRegime')?.value !== 'C') {
      warnings.push(
        `${source}: without PYTHONHASHSEED the vLLM of that time hashes from random bytes, and shares chunks with nobody. ` +
          'Set PYTHONHASHSEED to the same number everywhere.',
      );
    }
  }
  if (algorithm?.given === undefined && paths !== undefined && paths.level !== 'override') {
    warnings.push(
      `${paths.source}: pre_caching_hash_algorithm is not set, which means ${String(algorithm?.value)} here and builtin in LMCache. ` +
        'If LMCache reads this too, set it, or neither will hit the other’s chunks.',
    );
  }
  return warnings;
}

function isNewer(version: string): boolean {
  return isSince(version, CURRENT_LMCACHE) && !isSince(CURRENT_LMCACHE, version);
}
