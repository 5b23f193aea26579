/** LMCache's header since 0.3.12: a length word, then JSON padded with spaces, spelled as Python's json.dumps spells it. */
import { isAscii } from 'node:buffer';
import { isHeaderDtype } from '../dtypes.js';
import { HEADER_BYTES, type TensorDescription, payloadBytes } from './chunk-header.js';
import type { HeaderCodec } from './header-codec.js';
import { readExtras } from './header-extras.js';
import { type Fail, type Fields, objectOf, parseJson, show } from './header-fields.js';
import { defaultFormat, isMemoryFormat } from './shapes.js';

/** The length word, and what it holds: bytes of the padded JSON. */
const WORD_BYTES = 8;
const JSON_BYTES = HEADER_BYTES - WORD_BYTES;
const SPACE = 0x20;
const CLOSING_BRACE = 0x7d;
const PADDING = Buffer.alloc(JSON_BYTES, SPACE);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * As LMCache's reader it takes further fields for nothing, `shapes` and `dtypes` for a chunk of several tensors, and a
 * header without `fmt` for one of 2025, whose format follows from its shape.
 */
export const JSON_HEADER: HeaderCodec = {
  word: BigInt(JSON_BYTES),
  frame(header, extras) {
    const payload = payloadBytes(header);
    const start =
      `{"kvcache": {"dtype": "${header.dtype}", "shape": ${list(header.shape)}, "data_offsets": [0, ${payload}], ` +
      `"fmt": ${header.format}, "__metadata__": {"lmcache_version": "1"${extras ? ', ' : ''}`;
    const groups = header.groups ? `, "shapes": ${shapes(header.groups)}, "dtypes": ${dtypes(header.groups)}` : '';
    const bytes = Buffer.alloc(HEADER_BYTES, SPACE);
    bytes.writeBigUInt64LE(BigInt(JSON_BYTES));
    return { bytes, textAt: WORD_BYTES, start, end: `}${groups}}}` };
  },
  decode(bytes, fail) {
    const root = objectOf(parseJson(textOf(bytes, fail), 'its JSON', fail), 'its JSON', fail);
    const kvcache = objectOf(root['kvcache'], 'kvcache', fail);
    const first = tensor(kvcache['dtype'], kvcache['shape'], 'kvcache.dtype', 'kvcache.shape', fail);
    const groups = readGroups(kvcache, fail);
    const format = kvcache['fmt'] === undefined ? defaultFormat(first.shape) : kvcache['fmt'];
    if (!isMemoryFormat(format)) return fail(`kvcache.fmt is ${show(format)}, none of LMCache's formats`);

    const payload = payloadBytes({ ...first, ...(groups && { groups }) });
    if (!Number.isSafeInteger(payload)) return fail('kvcache.shape has more than 2^53 - 1 bytes');
    const offsets = kvcache['data_offsets'];
    if (!Array.isArray(offsets) || offsets.length !== 2 || offsets[0] !== 0 || offsets[1] !== payload) {
      return fail(`kvcache.data_offsets is ${show(offsets)}, but shape and dtype make it [0, ${payload}]`);
    }
    const metadata = objectOf(kvcache['__metadata__'], 'kvcache.__metadata__', fail);
    if (metadata['lmcache_version'] !== '1') {
      return fail(`kvcache.__metadata__.lmcache_version is ${show(metadata['lmcache_version'])}, not "1"`);
    }
    const extras = readExtras(metadata, payload, fail);
    return { ...first, format, payloadBytes: payload, ...(groups && { groups }), ...(extras && { extras }) };
  },
};

function list(numbers: readonly number[]): string {
  return `[${numbers.join(', ')}]`;
}

function shapes(groups: readonly TensorDescription[]): string {
  return `[${groups.map((group) => list(group.shape)).join(', ')}]`;
}

function dtypes(groups: readonly TensorDescription[]): string {
  return `[${groups.map((group) => `"${group.dtype}"`).join(', ')}]`;
}

/** The JSON's text, without its padding. */
function textOf(bytes: Buffer, fail: Fail): string {
  if (bytes.length < HEADER_BYTES) return fail(`it is cut off after ${bytes.length} of ${HEADER_BYTES} bytes`);
  const padded = bytes.subarray(WORD_BYTES, HEADER_BYTES);
  const json = padded.subarray(0, paddingAt(padded));
  // Python spells it in ASCII, and that needs no decoding.
  if (isAscii(json)) return json.toString('latin1');
  try {
    return utf8.decode(json);
  } catch {
    return fail('its JSON is not UTF-8');
  }
}

/** Where a header's padding begins; most of it is padding, which to decode and parse would take half the time. */
function paddingAt(json: Buffer): number {
  const end = json.lastIndexOf(CLOSING_BRACE) + 1;
  return PADDING.compare(json, end, JSON_BYTES, end, JSON_BYTES) === 0 ? end : JSON_BYTES;
}

function readGroups(kvcache: Fields, fail: Fail): TensorDescription[] | undefined {
  const { shapes, dtypes } = kvcache as { shapes?: unknown; dtypes?: unknown };
  if (shapes === undefined && dtypes === undefined) return undefined;
  if (!Array.isArray(shapes) || !Array.isArray(dtypes) || shapes.length === 0 || shapes.length !== dtypes.length) {
    return fail('kvcache.shapes and kvcache.dtypes are not two lists of the same length');
  }
  return shapes.map((shape: unknown, i) =>
    tensor(dtypes[i], shape, `kvcache.dtypes[${i}]`, `kvcache.shapes[${i}]`, fail),
  );
}

function tensor(dtype: unknown, shape: unknown, dtypeAt: string, shapeAt: string, fail: Fail): TensorDescription {
  if (!isHeaderDtype(dtype)) return fail(`${dtypeAt} is ${show(dtype)}, no dtype of LMCache's headers`);
  if (!Array.isArray(shape) || shape.length === 0) return fail(`${shapeAt} is ${show(shape)}, no list of dimensions`);
  const dimensions = shape.map((dimension: unknown, i) =>
    typeof dimension === 'number' && Number.isSafeInteger(dimension) && dimension > 0
      ? dimension
      : fail(`${shapeAt}[${i}] is ${show(dimension)}, no integer from 1 to 2^53 - 1`),
  );
  return { dtype, shape: dimensions };
}
