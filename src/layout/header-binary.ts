/**
 * The header of LMCache's Weka backend, 0.3.6 to 0.3.11: little-endian u64s, version, dtype, bytes, number of dimensions
 * and those, then a hole up to the payload at 4096. What we add stands in the hole, which LMCache skips.
 */
import { type HeaderDtype, headerDtype } from '../dtypes.js';
import { HEADER_BYTES, type TensorDescription, invalid, payloadBytes } from './chunk-header.js';
import type { HeaderCodec } from './header-codec.js';
import { readExtras } from './header-extras.js';
import { type Fail, objectOf, parseJson } from './header-fields.js';
import { defaultFormat, shapeBytes } from './shapes.js';

const WORD = 8;
/** Words before the dimensions. */
const FIXED = 4 * WORD;
const MOST_DIMENSIONS = (HEADER_BYTES - FIXED) / WORD;

/** Where our extras stand: a magic text, a u64 of the JSON's bytes, the JSON object, zeros. */
const EXTRAS_AT = 1024;
const MAGIC = 'KVOEXTRA';
const JSON_AT = EXTRAS_AT + MAGIC.length + WORD;
const JSON_ROOM = HEADER_BYTES - JSON_AT;
/** More would reach into the extras. */
const MOST_DIMENSIONS_WRITTEN = (EXTRAS_AT - FIXED) / WORD;

/** LMCache's list of dtypes, by torch's names: an index is the dtype. Aliases stand in it twice; it writes the last. */
const DTYPES: readonly HeaderDtype[] = [
  'half',
  'float16',
  'bfloat16',
  'float',
  'float32',
  'float64',
  'double',
  'uint8',
  'float8_e4m3fn',
  'float8_e5m2',
].map(headerDtype);

export const BINARY_HEADER: HeaderCodec = {
  word: 1n,
  frame(header, extras) {
    const { dtype, shape, format, groups } = header;
    const index = DTYPES.lastIndexOf(dtype);
    if (index < 0) throw invalid(`its dtype ${dtype} has no number in headers of LMCache before 0.3.12`);
    if (groups !== undefined) throw invalid('headers of LMCache before 0.3.12 hold one tensor');
    if (format !== defaultFormat(shape)) {
      throw invalid(`headers of LMCache before 0.3.12 hold no fmt, and its shape stands for ${defaultFormat(shape)}`);
    }
    if (shape.length > MOST_DIMENSIONS_WRITTEN) throw invalid(`it has ${shape.length} dimensions`);
    const bytes = Buffer.alloc(HEADER_BYTES);
    const words = [1, index, payloadBytes(header), shape.length, ...shape];
    for (const [i, word] of words.entries()) bytes.writeBigUInt64LE(BigInt(word), i * WORD);
    if (!extras) return { bytes, textAt: JSON_AT, start: '', end: '' };
    bytes.write(MAGIC, EXTRAS_AT, 'latin1');
    return { bytes, textAt: JSON_AT, start: '{', end: '}', lengthAt: EXTRAS_AT + MAGIC.length };
  },
  decode(bytes, fail) {
    const words = wordReader(bytes, fail);
    const index = words(1, 'its dtype');
    const dtype = DTYPES[index];
    if (dtype === undefined) return fail(`its dtype is ${index}, no number of LMCache's list of ${DTYPES.length}`);
    const size = words(2, 'its size');
    const count = words(3, 'its number of dimensions');
    if (count < 1 || count > MOST_DIMENSIONS) {
      return fail(`it has ${count} dimensions; there is room for 1 to ${MOST_DIMENSIONS}`);
    }
    const shape = Array.from({ length: count }, (_, i) => {
      const dimension = words(4 + i, `its dimension ${i}`);
      return dimension > 0 ? dimension : fail(`its dimension ${i} is 0`);
    });
    const payload = shapeBytes(shape, dtype);
    if (payload !== size) return fail(`it says that it has ${size} bytes, but shape and dtype make it ${payload}`);
    const extras = FIXED + count * WORD <= EXTRAS_AT ? extrasOf(bytes, { dtype, shape }, fail) : undefined;
    return { dtype, shape, format: defaultFormat(shape), payloadBytes: payload, ...(extras && { extras }) };
  },
};

/** Reads u64s that must be exact numbers. */
function wordReader(bytes: Buffer, fail: Fail): (index: number, name: string) => number {
  return (index, name) => {
    const at = index * WORD;
    if (at + WORD > bytes.length) return fail(`it is cut off after ${bytes.length} bytes, before ${name}`);
    const word = bytes.readBigUInt64LE(at);
    return word <= Number.MAX_SAFE_INTEGER ? Number(word) : fail(`${name} is ${word}, beyond 2^53 - 1`);
  };
}

function extrasOf(bytes: Buffer, tensor: TensorDescription, fail: Fail) {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', EXTRAS_AT, EXTRAS_AT + MAGIC.length) !== MAGIC) {
    return undefined;
  }
  const length = bytes.readBigUInt64LE(EXTRAS_AT + MAGIC.length);
  if (length > JSON_ROOM) return fail(`its extras have ${length} bytes, and there is room for ${JSON_ROOM}`);
  const json = bytes.toString('latin1', JSON_AT, JSON_AT + Number(length));
  const fields = objectOf(parseJson(json, 'the JSON of its extras', fail), 'the JSON of its extras', fail);
  return readExtras(fields, payloadBytes(tensor), fail);
}
