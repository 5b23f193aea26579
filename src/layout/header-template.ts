/**
 * Headers of chunks of one tensor, as this library writes them: what they share is spelled once. The same bytes tell
 * whether a header that was read is such a one, without parsing it.
 */
import { HEADER_BYTES, type HeaderKind, type TensorDescription } from './chunk-header.js';
import type { HeaderFrame } from './header-codec.js';
import { spellIdentity, spellSumsOf } from './header-extras.js';
import { headerFrame, payloadBytes, writeText } from './header.js';
import type { MemoryFormat } from './shapes.js';
import { SUM_DIGITS, sumCount } from './sums.js';

/** Which chunk of a prompt a header is of. */
export interface HeaderIdentity {
  /** The chunk's key as jsonText spells it. */
  readonly jsonKey: string;
  /** Position of the chunk in its prompt, counted in chunks from 0. */
  readonly chunkIndex: number;
  /** SHA-256 of the token prefix up to the chunk's end, 64 lowercase hex digits. */
  readonly prefix: string;
}

const HEX = /^[0-9a-f]*$/;
const QUOTE = 0x22;

/** The headers of one tensor. */
export class HeaderTemplate {
  readonly #frame: HeaderFrame;
  /** Where the extras begin: with a quote, which LMCache's own headers don't have there. */
  readonly #extrasAt: number;
  /** The sums' members with zeros for digits, cut around those. */
  readonly #beforeSums: string;
  readonly #afterSums: string;
  readonly #zeros: string;
  /** What a header must be, from the one before on: they differ in little. */
  readonly #expected: Buffer;
  #expectedEnd: number;

  /**
   * @param sumBlock - bytes of payload that one sum covers; 0 for headers without sums
   * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for what no file of that kind can have
   */
  constructor(tensor: TensorDescription & { readonly format: MemoryFormat }, sumBlock: number, kind: HeaderKind) {
    const payload = payloadBytes(tensor);
    this.#frame = headerFrame(tensor, kind);
    this.#expected = Buffer.from(this.#frame.bytes);
    this.#expectedEnd = this.#frame.textAt;
    this.#extrasAt = this.#frame.textAt + this.#frame.start.length;
    const { sums, digits } = spellSumsOf(sumBlock > 0 ? { sumBlock } : {}, payload);
    const count = sumBlock > 0 ? sumCount(payload, sumBlock) * SUM_DIGITS : 0;
    this.#beforeSums = sums.slice(0, digits);
    this.#zeros = sums.slice(digits, digits + count);
    this.#afterSums = sums.slice(digits + count);
  }

  /** Writes a header into `target`; returns where in it the sums' place begins, 0 without sums. */
  write(target: Buffer, at: number, { jsonKey, chunkIndex, prefix }: HeaderIdentity): number {
    const before = spellIdentity(jsonKey, chunkIndex, prefix) + this.#beforeSums;
    target.set(this.#frame.bytes, at);
    writeText(target, at, this.#frame, before + this.#zeros + this.#afterSums);
    return this.#zeros === '' ? 0 : this.#extrasAt + before.length;
  }

  /** True for a header with extras, be they ours or not: others can't match, and need no identity. */
  hasExtras(headers: Buffer, at: number): boolean {
    return headers[at + this.#extrasAt] === QUOTE;
  }

  /**
   * True where all 4096 bytes are those that {@link write} makes, with these sums in their place. A header for which it
   * is false may still say the same in other words.
   *
   * @param sums - their digits; undefined where any will do
   * @param paddedFrom - where the run of equal bytes begins that ends the header, where that is known: it need not be
   *   read again then
   */
  matches(
    headers: Buffer,
    at: number,
    { jsonKey, chunkIndex, prefix }: HeaderIdentity,
    sums: string | undefined,
    paddedFrom = HEADER_BYTES,
  ): boolean {
    const before = spellIdentity(jsonKey, chunkIndex, prefix) + this.#beforeSums;
    let digits = sums ?? '';
    if (sums === undefined && this.#zeros !== '') {
      const from = at + this.#extrasAt + before.length;
      digits = headers.toString('latin1', from, from + this.#zeros.length);
      if (!HEX.test(digits)) return false;
    }
    if (digits.length !== this.#zeros.length) return false;
    this.#expect(before + digits + this.#afterSums);
    // Behind its own end the template is one run of the byte that it ends with.
    const end = paddedFrom > this.#expectedEnd ? HEADER_BYTES : this.#expectedEnd;
    if (headers[at + HEADER_BYTES - 1] !== this.#expected[HEADER_BYTES - 1]) return false;
    return headers.compare(this.#expected, 0, end, at, at + end) === 0;
  }

  #expect(extras: string): void {
    const end = writeText(this.#expected, 0, this.#frame, extras);
    if (end < this.#expectedEnd) this.#expected.set(this.#frame.bytes.subarray(end, this.#expectedEnd), end);
    this.#expectedEnd = end;
  }
}
