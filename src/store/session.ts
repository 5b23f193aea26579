/** What the calls of one engine share. */
import type { Config } from '../config/index.js';
import type { ChunkHash } from '../hash/index.js';
import { SUM_DIGITS, spellSums, sumBlockBytes, sumCount } from '../layout/index.js';
import type { Transfer } from '../transfer.js';
import type { Base } from './bases.js';
import type { Model } from './model.js';
import type { Route } from './transport.js';

/** What an engine has counted since it was opened, in chunks unless a name says otherwise. */
export interface Counters {
  lookups: number;
  lookedUp: number;
  found: number;
  hits: number;
  misses: number;
  corrupt: number;
  /** Misses since the chunk found was another prompt's with the same 64-bit hash. */
  collisions: number;
  /** Hits whose sums were not compared: LMCache's own chunks, or checksums off. */
  unverified: number;
  retrieveFailed: number;
  stored: number;
  exists: number;
  dropped: number;
  storeFailed: number;
  bytesRetrieved: number;
  bytesStored: number;
}

/** An open engine, as its calls see it. */
export interface Session {
  readonly config: Config;
  readonly model: Model;
  readonly noneHash: ChunkHash;
  readonly transfer: Transfer;
  /** All base paths; reads look at each in turn. */
  readonly bases: readonly Base[];
  /** The one of them that is written to. */
  readonly writeBase: number;
  readonly counters: Counters;
  readonly suspects: Suspects;
  /** How a GPU's bytes move, by base path; empty without one. */
  readonly routes: readonly Route[];
}

/** Chunks found corrupt, which the next store replaces: without this it would say that they exist. */
export class Suspects {
  /** A bound on memory, far above what is corrupt at a time anywhere. */
  static readonly #MOST = 100_000;
  readonly #paths = new Set<string>();

  add(path: string): void {
    if (this.#paths.size < Suspects.#MOST) this.#paths.add(path);
  }

  has(path: string): boolean {
    return this.#paths.size > 0 && this.#paths.has(path);
  }

  delete(path: string): void {
    if (this.#paths.size > 0) this.#paths.delete(path);
  }
}

/** The order in which base paths are read: the one that is written to first. */
export function readOrder(session: Session): number[] {
  const others = [...session.bases.keys()].filter((base) => base !== session.writeBase);
  return [session.writeBase, ...others];
}

/** Sums of operation after operation, as the engine gives them in one run. */
export class SumReader {
  readonly #sums: BigUint64Array;
  /** Of all of them: spelled at once, since a bigint each costs. */
  #digits: string | undefined;
  #from = 0;
  #to = 0;

  constructor(sums: BigUint64Array) {
    this.#sums = sums;
  }

  /** Goes on to the sums of the next payload. */
  next(payloadBytes: number): void {
    this.#from = this.#to;
    this.#to += sumCount(payloadBytes, sumBlockBytes(payloadBytes));
  }

  get sums(): BigUint64Array {
    return this.#sums.subarray(this.#from, this.#to);
  }

  /** As a header spells them. */
  get digits(): string {
    this.#digits ??= spellSums(this.#sums);
    return this.#digits.slice(this.#from * SUM_DIGITS, this.#to * SUM_DIGITS);
  }
}
