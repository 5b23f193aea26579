/** The golden vectors, taken from real LMCache packages, typed as far as tests read them. */
import { readFileSync } from 'node:fs';

import type { ChunkHash } from '../../src/hash/index.js';

/** One key of LMCache's, in its own words. */
export interface GoldenKey {
  readonly model: string;
  readonly hash: string;
  readonly bytes?: boolean;
  readonly dtype: string;
  readonly tags: Readonly<Record<string, string | number>> | null;
}

/** Hashes by `input/chunk size`, decimal. */
export interface GoldenAlgorithm {
  readonly [nameAndChunk: string]: unknown;
  readonly none_hash: string;
  readonly none_hash_raw: string;
}

export interface GoldenHeader {
  readonly dtype: string;
  readonly shape: number[];
  readonly fmt: number;
  readonly json: string;
  readonly sha256: string;
}

export interface GoldenParse {
  readonly error?: string;
  readonly model: string;
  readonly ws: number;
  readonly wid: number;
  readonly hash: string;
  readonly dtype: string;
  readonly layer: number | null;
  readonly tags: [string, string][] | null;
  readonly again: string;
}

interface Golden {
  readonly hash: {
    readonly inputs: Readonly<Record<'llama1000' | 'edges' | 'one', number[]>>;
    readonly algorithms: Readonly<
      Record<'builtin' | 'sha256_cbor' | 'sha256' | 'xxhash' | 'xxhash_cbor', GoldenAlgorithm>
    >;
  };
  readonly legacy_sha256_cbor: Readonly<
    Record<'A_64bit_int_low64_extra_None' | 'B_bytes_extra_None' | 'B2_bytes_extra_empty_tuple', string[]>
  >;
  readonly weka_header: { readonly dtype: string; readonly hex: string }[];
  readonly bytes: Readonly<Record<string, string>>;
  readonly python_hash: Readonly<Record<string, unknown>>;
  readonly keys: (GoldenKey & {
    readonly layer?: true;
    readonly str: string;
    readonly path: string;
    readonly weka: string;
  })[];
  readonly parse: Readonly<Record<string, GoldenParse>>;
  readonly header: (GoldenHeader & { readonly multi?: true })[];
  readonly mem_fmt: Readonly<Record<string, [number, number]>>;
  readonly shard: Readonly<Record<string, string>>;
}

interface GoldenChain {
  readonly none_hash: string;
  readonly iota600: string[];
}

interface GoldenGenerations {
  readonly generations: Readonly<
    Record<
      string,
      {
        readonly keys: (GoldenKey & {
          readonly ws: number;
          readonly wid: number;
          readonly key: string;
          /** By suffix; absent where that LMCache refuses the key. */
          readonly path?: Readonly<Record<string, string>>;
          readonly error?: string;
        })[];
        readonly headers: {
          readonly dtype: string;
          readonly shape: number[];
          readonly bytes: number;
          readonly hex: string;
        }[];
      }
    >
  >;
  readonly 'unseeded_vllm_0.33': Readonly<Record<'sha256_cbor' | 'sha256', GoldenChain>>;
  readonly builtin_extra_none_py312: Readonly<Record<string, GoldenChain>>;
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8')) as unknown;

export const golden = read('lmcache') as Golden;
export const goldenGenerations = read('generations') as GoldenGenerations;

/** The entry of a generations file, which must be there. */
export function generation(name: string): GoldenGenerations['generations'][string] {
  const entry = goldenGenerations.generations[name];
  if (!entry) throw new Error(`no golden generation ${name}`);
  return entry;
}

/** A key's hash as ours. */
export function hashOf(key: GoldenKey): ChunkHash {
  return key.bytes === true ? key.hash : BigInt(key.hash);
}

/** LMCache's request tags as a key's tags: only entries of that name, without it. */
export function tagsOf(key: GoldenKey): [string, string][] {
  return Object.entries(key.tags ?? {})
    .filter(([name]) => name.startsWith('lmcache.tag.'))
    .map(([name, value]) => [name.slice('lmcache.tag.'.length), String(value)]);
}
