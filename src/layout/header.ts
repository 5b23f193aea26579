/** A chunk's header: what it says, and its bytes. */
import { KVOffloadError } from '../errors.js';
import {
  type ChunkHeader,
  type DecodedHeader,
  HEADER_BYTES,
  type HeaderKind,
  checkDescription,
  invalid,
  payloadBytes,
} from './chunk-header.js';
import { BINARY_HEADER } from './header-binary.js';
import type { HeaderCodec, HeaderFrame } from './header-codec.js';
import { spellExtras } from './header-extras.js';
import type { Fail } from './header-fields.js';
import { JSON_HEADER } from './header-json.js';

export {
  type ChunkExtras,
  type ChunkHeader,
  type DecodedHeader,
  HEADER_BYTES,
  type HeaderKind,
  type TensorDescription,
  payloadBytes,
} from './chunk-header.js';
export { SUM_DIGITS, spellSums, sumBlockBytes, sumCount } from './sums.js';

const CODECS: Readonly<Record<HeaderKind, HeaderCodec>> = { json: JSON_HEADER, binary: BINARY_HEADER };
const KINDS = Object.entries(CODECS) as [HeaderKind, HeaderCodec][];
const WORD_BYTES = 8;

/**
 * A chunk's header.
 *
 * @param kind - a generation's `header`; default today's
 * @returns `bytes`, 4096 of them; `sumsAt`, the offset in them where the sums' place begins, 16 zeros a block that the
 *   engine fills before it publishes the file, or 0 where the header has no sums
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for a description that no file of that kind can have
 */
export function encodeHeader(header: ChunkHeader, kind: HeaderKind = 'json'): { bytes: Uint8Array; sumsAt: number } {
  const bytes = new Uint8Array(HEADER_BYTES);
  return { bytes, sumsAt: encodeHeaderInto(bytes, 0, header, kind) };
}

/** As {@link encodeHeader}, into `target` from `at` on; returns `sumsAt`, counted from `at`. */
export function encodeHeaderInto(
  target: Uint8Array,
  at: number,
  header: ChunkHeader,
  kind: HeaderKind = 'json',
): number {
  checkDescription(header);
  if (at < 0 || at + HEADER_BYTES > target.length) {
    throw invalid(`its header does not fit at ${at} of ${target.length} bytes`);
  }
  const frame = CODECS[kind].frame(header, header.extras !== undefined);
  const out = Buffer.from(target.buffer, target.byteOffset + at, HEADER_BYTES);
  out.set(frame.bytes);
  if (header.extras === undefined) {
    writeText(out, 0, frame, '');
    return 0;
  }
  const { text, sumsIndex } = spellExtras(header.extras, payloadBytes(header));
  writeText(out, 0, frame, text);
  return sumsIndex === 0 ? 0 : frame.textAt + frame.start.length + sumsIndex;
}

/** What stands before the payload of chunks of one tensor, but for their extras. @throws as {@link encodeHeader} */
export function headerFrame(header: Omit<ChunkHeader, 'extras'>, kind: HeaderKind): HeaderFrame {
  checkDescription(header);
  return CODECS[kind].frame(header, true);
}

/**
 * Writes a frame's text with these extras, and its length where that is said. Returns where it ends, counted from `at`.
 *
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` where it does not fit
 */
export function writeText(out: Buffer, at: number, frame: HeaderFrame, extras: string): number {
  const text = frame.start + extras + frame.end;
  const room = HEADER_BYTES - frame.textAt;
  if (text.length > room) {
    throw invalid(`its header takes ${text.length} bytes of JSON, and there is room for ${room}`);
  }
  if (frame.lengthAt !== undefined) out.writeUInt32LE(text.length, at + frame.lengthAt);
  out.write(text, at + frame.textAt, 'latin1');
  return frame.textAt + text.length;
}

/**
 * Reads a header from `at` on, of whichever kind it is.
 *
 * @param where - what messages call the header, such as its file's path; default `header`
 * @throws KVOffloadError `KVO_HEADER_INVALID` with what is wrong and where
 */
export function decodeHeader(bytes: Uint8Array, at = 0, where = 'header'): DecodedHeader {
  const fail: Fail = (what) => {
    throw new KVOffloadError('KVO_HEADER_INVALID', `${where}: ${what}`);
  };
  const present = Math.min(Math.max(bytes.length - at, 0), HEADER_BYTES);
  if (present < WORD_BYTES) return fail(`it has ${present} bytes; a header has ${HEADER_BYTES}`);
  const header = Buffer.from(bytes.buffer, bytes.byteOffset + at, present);
  const word = header.readBigUInt64LE(0);
  const [kind, codec] = KINDS.find(([, { word: own }]) => own === word) ?? [];
  if (kind === undefined || codec === undefined) {
    const known = KINDS.map(([, { word: own }]) => own).join(' nor ');
    return fail(`it begins with the number ${word}, neither ${known}: no chunk of LMCache's`);
  }
  return { kind, ...codec.decode(header, fail) };
}
