import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DTYPES, type HeaderDtype, headerDtype } from '../../src/dtypes.js';
import {
  type ChunkHeader,
  GENERATIONS,
  HEADER_BYTES,
  MEMORY_FORMATS,
  type MemoryFormat,
  decodeHeader,
  defaultFormat,
  encodeHeader,
  encodeHeaderInto,
  payloadBytes,
  sumBlockBytes,
  sumCount,
} from '../../src/layout/index.js';
import { native } from '../../src/native.js';
import { messageOf, survive } from './expect-code.js';
import { generation, golden } from './golden.js';

const MIB = 2 ** 20;
const llama: ChunkHeader = { dtype: 'BF16', shape: [2, 32, 256, 1024], format: 1 };
const prefix = '0123456789abcdef'.repeat(4);
const extras = { key: 'm@1@0@abcd@bfloat16', chunkIndex: 3, prefix, sumBlock: 4 * MIB };

const jsonOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1', 8).trimEnd();
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A header around any JSON text, as a foreign writer could make it. */
function around(json: string, word = 4088n): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES, ' ');
  bytes.writeBigUInt64LE(word, 0);
  bytes.write(json, 8, 'utf8');
  return bytes;
}

/** LMCache's fields of a 2 × 3 tensor of bfloat16, with changes. */
function fields(kvcache: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}): Buffer {
  const base = { dtype: 'BF16', shape: [2, 3], data_offsets: [0, 12], fmt: 4 };
  const __metadata__ = { lmcache_version: '1', ...metadata };
  return around(JSON.stringify({ kvcache: { ...base, __metadata__, ...kvcache } }));
}

/** A binary header of these words, as a foreign writer could make it. */
function binary(...words: bigint[]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  for (const [i, word] of [1n, ...words].slice(0, HEADER_BYTES / 8).entries()) bytes.writeBigUInt64LE(word, i * 8);
  return bytes;
}

/** A binary header of a 2 × 3 tensor of bfloat16, with such a text for extras. */
function extrasOf(json: string, length = BigInt(Buffer.byteLength(json))): Buffer {
  const bytes = binary(2n, 12n, 2n, 2n, 3n);
  bytes.write('KVOEXTRA', 1024);
  bytes.writeBigUInt64LE(length, 1032);
  bytes.write(json, 1040);
  return bytes;
}

const BINARY_DTYPES: readonly string[] = ['F16', 'BF16', 'F32', 'F64', 'U8', 'F8E4M3FN', 'F8E5M2'];

describe('encodeHeader', () => {
  const plain = golden.header.filter((header) => !header.multi);

  it.each(plain)(
    'spells $dtype $shape byte for byte as LMCache does',
    ({ dtype, shape, fmt, json, sha256: digest }) => {
      const { bytes, sumsAt } = encodeHeader({ dtype: headerDtype(dtype), shape, format: fmt as MemoryFormat });
      expect(jsonOf(bytes)).toBe(json);
      expect(bytes).toHaveLength(4096);
      expect(sha256(bytes)).toBe(digest);
      expect(sumsAt).toBe(0);
    },
  );

  it('spells a chunk of several tensors as LMCache does', () => {
    const [several] = golden.header.filter((header) => header.multi);
    const groups = [
      { dtype: 'U8', shape: [1, 78, 256, 132] },
      { dtype: 'BF16', shape: [1, 78, 256, 576] },
    ] as const;
    const header: ChunkHeader = { ...groups[0], format: MEMORY_FORMATS.KV_MLA_FMT, groups };
    const { bytes } = encodeHeader(header);
    expect(jsonOf(bytes)).toBe(several?.json);
    expect(sha256(bytes)).toBe(several?.sha256);
    expect(decodeHeader(bytes)).toEqual({ ...header, kind: 'json', payloadBytes: 25_638_912 });
  });

  it.each(GENERATIONS)('spells the headers of LMCache $name, and reads them', ({ name, header: kind }) => {
    const { headers } = generation(name);
    expect(headers).toHaveLength(18);
    for (const { dtype, shape, bytes: length, hex } of headers) {
      const header = { dtype: headerDtype(dtype), shape, format: kind === 'json' ? 1 : defaultFormat(shape) };
      const { bytes, sumsAt } = encodeHeader(header, kind);
      const spelled = Buffer.from(bytes).toString('hex');
      expect(spelled.slice(0, hex.length)).toBe(hex);
      expect(spelled.slice(hex.length)).toMatch(kind === 'json' ? /^(?:20)*$/ : /^(?:00)*$/);
      expect(kind === 'json' ? bytes.length : hex.length / 2).toBe(length);
      expect(sumsAt).toBe(0);
      const read = { ...header, kind, payloadBytes: payloadBytes(header) };
      expect(decodeHeader(bytes)).toEqual(read);
      // A sidecar of LMCache's is no longer than this.
      expect(decodeHeader(bytes.subarray(0, length))).toEqual(read);
    }
  });

  it('puts our extras behind lmcache_version, in this order and spelling', () => {
    const { bytes, sumsAt } = encodeHeader({ ...llama, extras });
    expect(jsonOf(bytes)).toBe(
      '{"kvcache": {"dtype": "BF16", "shape": [2, 32, 256, 1024], "data_offsets": [0, 33554432], "fmt": 1, ' +
        '"__metadata__": {"lmcache_version": "1", "kv_offload_version": "1", "kv_offload_key": "m@1@0@abcd@bfloat16", ' +
        `"kv_offload_chunk": "3", "kv_offload_prefix": "${prefix}", "kv_offload_sum_block": "4194304", ` +
        `"kv_offload_sums": "${'0'.repeat(8 * 16)}"}}}`,
    );
    expect(Buffer.from(bytes).toString('latin1', sumsAt, sumsAt + 8 * 16)).toBe('0'.repeat(8 * 16));
    expect(bytes[sumsAt - 1]).toBe(0x22);
  });

  it('leaves a place that, once filled, reads as those sums', () => {
    const { bytes, sumsAt } = encodeHeader({ ...llama, extras });
    const sums = BigUint64Array.from({ length: 8 }, (_, i) => 0x0123456789abcdefn >> BigInt(i));
    const digits = Array.from(sums, (sum) => sum.toString(16).padStart(16, '0')).join('');
    Buffer.from(bytes.buffer).write(digits, sumsAt, 'latin1');
    expect(decodeHeader(bytes).extras).toEqual({ ...extras, sums });
    expect(encodeHeader({ ...llama, extras: { ...extras, sums } }).bytes).toEqual(bytes);
  });

  it('escapes a key as Python’s json.dumps does', () => {
    const key = 'a"\\\n\u0001\u007fé模\u{1f600}';
    const { bytes } = encodeHeader({ ...llama, extras: { key } });
    expect(jsonOf(bytes)).toContain('"kv_offload_key": "a\\"\\\\\\n\\u0001\\u007f\\u00e9\\u6a21\\ud83d\\ude00"');
    expect(decodeHeader(bytes).extras).toEqual({ key });
  });

  it('writes into the middle of a larger buffer, over what was there', () => {
    const target = new Uint8Array(3 * HEADER_BYTES).fill(7).subarray(100);
    const sumsAt = encodeHeaderInto(target, HEADER_BYTES, { ...llama, extras });
    const alone = encodeHeader({ ...llama, extras });
    expect(sumsAt).toBe(alone.sumsAt);
    expect(target.slice(HEADER_BYTES, 2 * HEADER_BYTES)).toEqual(alone.bytes);
    expect(target[HEADER_BYTES - 1]).toBe(7);
    expect(target[2 * HEADER_BYTES]).toBe(7);
    messageOf('KVO_ARGUMENT_INVALID', () => encodeHeaderInto(target, 2 * HEADER_BYTES, llama));
  });

  it('has room for 64 sums and the longest key that a file name can carry', () => {
    const shape = [2, 126, 256, 1024];
    const sumBlock = sumBlockBytes(2 * 126 * 256 * 1024 * 8);
    const key = '\u0001'.repeat(80);
    const header: ChunkHeader = { dtype: 'F64', shape, format: 1, extras: { ...extras, key, sumBlock } };
    expect(decodeHeader(encodeHeader(header).bytes).extras?.sums).toHaveLength(63);
  });

  it.each<[string, Partial<ChunkHeader>]>([
    ['shape [2,-1]', { shape: [2, -1] }],
    ['shape []', { shape: [] }],
    ['shape [0.5]', { shape: [0.5] }],
    ['2^53', { shape: [2 ** 40, 2 ** 40] }],
    ['dtype', { dtype: 'half' as HeaderDtype }],
    ['format 9', { format: 9 as MemoryFormat }],
    ['bytes', { groups: [] }],
    ['room for 4088', { extras: { key: 'x'.repeat(4000) } }],
    ['index', { extras: { chunkIndex: -1 } }],
    ['prefix digest', { extras: { prefix: prefix.toUpperCase() } }],
    ['sum block', { extras: { sumBlock: 5 * MIB } }],
    ['sums without', { extras: { sums: new BigUint64Array(8) } }],
    ['7 sums for 8 blocks', { extras: { sumBlock: 4 * MIB, sums: new BigUint64Array(7) } }],
  ])('refuses what no file can have: %s', (why, bad) => {
    const message = messageOf('KVO_ARGUMENT_INVALID', () => encodeHeader({ ...llama, ...bad }));
    expect(message.replaceAll(', ', ',')).toContain(why);
  });
});

describe('the binary header', () => {
  const encode = (header: ChunkHeader) => encodeHeader(header, 'binary');

  it.each(golden.weka_header)('numbers $dtype as LMCache does', ({ dtype, hex }) => {
    const { bytes } = encode({ ...llama, dtype: headerDtype(dtype) });
    // The vectors give every dtype the size of 2-byte elements.
    Buffer.from(bytes.buffer).writeBigUInt64LE(33_554_432n, 16);
    expect(Buffer.from(bytes).toString('hex', 0, 64)).toBe(hex);
    const read = () => decodeHeader(Buffer.from(hex, 'hex'));
    if (headerDtype(dtype).endsWith('16'))
      expect(read()).toMatchObject({ dtype: headerDtype(dtype), shape: llama.shape });
    else expect(messageOf('KVO_HEADER_INVALID', read)).toContain('has 33554432 bytes, but shape and dtype make it');
  });

  it.each([
    [0n, 'F16'],
    [1n, 'F16'],
    [2n, 'BF16'],
    [3n, 'F32'],
    [4n, 'F32'],
    [5n, 'F64'],
    [6n, 'F64'],
    [7n, 'U8'],
    [8n, 'F8E4M3FN'],
    [9n, 'F8E5M2'],
  ])('of dtype %d holds %s', (index, dtype) => {
    const bytes = BigInt(payloadBytes({ dtype: dtype as HeaderDtype, shape: [5] }));
    expect(decodeHeader(binary(index, bytes, 1n, 5n))).toMatchObject({ kind: 'binary', dtype, shape: [5] });
  });

  it('holds our extras in its hole, with a place for the sums', () => {
    const { bytes, sumsAt } = encode({ ...llama, extras });
    const json = Buffer.from(bytes).toString('latin1', 1040).replace(/\0+$/, '');
    expect(json).toBe(
      '{"kv_offload_version": "1", "kv_offload_key": "m@1@0@abcd@bfloat16", "kv_offload_chunk": "3", ' +
        `"kv_offload_prefix": "${prefix}", "kv_offload_sum_block": "4194304", "kv_offload_sums": "${'0'.repeat(128)}"}`,
    );
    expect(Buffer.from(bytes).toString('latin1', 1024, 1032)).toBe('KVOEXTRA');
    expect(Buffer.from(bytes).readBigUInt64LE(1032)).toBe(BigInt(json.length));
    expect(bytes.subarray(64, 1024).every((byte) => byte === 0)).toBe(true);
    Buffer.from(bytes.buffer).write('0123456789abcdef'.repeat(8), sumsAt, 'latin1');
    const sums = new BigUint64Array(8).fill(0x0123456789abcdefn);
    expect(decodeHeader(bytes).extras).toEqual({ ...extras, sums });
  });

  it('overwrites what was there', () => {
    const target = new Uint8Array(2 * HEADER_BYTES).fill(7);
    encodeHeaderInto(target, HEADER_BYTES, { ...llama, extras }, 'binary');
    expect(target.slice(HEADER_BYTES)).toEqual(encode({ ...llama, extras }).bytes);
  });

  it('has room for 64 sums and the longest key that a file name can carry', () => {
    const shape = [2, 126, 256, 1024];
    const sumBlock = sumBlockBytes(2 * 126 * 256 * 1024 * 8);
    const header: ChunkHeader = {
      dtype: 'F64',
      shape,
      format: 1,
      extras: { ...extras, key: '\u0001'.repeat(240), sumBlock },
    };
    expect(decodeHeader(encode(header).bytes).extras?.sums).toHaveLength(63);
  });

  it.each<[string, Partial<ChunkHeader>]>([
    ['dtype I8 has no number', { dtype: 'I8' }],
    ['hold one tensor', { groups: [llama] }],
    ['hold no fmt, and its shape stands for 1', { format: 2 }],
    ['hold no fmt, and its shape stands for 4', { shape: [8], format: 1 }],
    ['room for 3056', { extras: { key: 'x'.repeat(3100) } }],
    ['125 dimensions', { shape: new Array<number>(125).fill(1), format: 4 }],
    ['shape [2, -1]', { shape: [2, -1] }],
  ])('cannot say: %s', (why, bad) => {
    expect(messageOf('KVO_ARGUMENT_INVALID', () => encode({ ...llama, ...bad }))).toContain(why);
  });

  const ones = (count: number) => new Array<bigint>(count).fill(1n);
  it.each<[string, Buffer]>([
    ['its dtype is 10, no number', binary(10n, 12n, 2n, 2n, 3n)],
    ['its dtype is 18446744073709551615, beyond 2^53 - 1', binary(2n ** 64n - 1n, 12n, 2n, 2n, 3n)],
    ['has 13 bytes, but shape and dtype make it 12', binary(2n, 13n, 2n, 2n, 3n)],
    ['its size is 9007199254740992, beyond', binary(2n, 2n ** 53n, 2n, 2n ** 26n, 2n ** 26n)],
    ['shape and dtype make it Infinity', binary(2n, 12n, 508n, ...new Array<bigint>(508).fill(2n ** 52n))],
    ['it has 0 dimensions', binary(2n, 2n, 0n)],
    ['it has 509 dimensions; there is room for 1 to 508', binary(2n, 2n, 509n, ...ones(509))],
    ['number of dimensions is 18446744073709551615', binary(2n, 2n, 2n ** 64n - 1n)],
    ['its dimension 1 is 0', binary(2n, 0n, 2n, 2n, 0n)],
    ['its dimension 0 is 9007199254740992, beyond', binary(2n, 2n, 1n, 2n ** 53n)],
    ['cut off after 8 bytes, before its dtype', binary().subarray(0, 8)],
    ['cut off after 47 bytes, before its dimension 1', binary(2n, 12n, 2n, 2n, 3n).subarray(0, 47)],
    ['its extras have 3057 bytes', extrasOf('{}', 3057n)],
    ['its extras have 18446744073709551615 bytes', extrasOf('{}', 2n ** 64n - 1n)],
    ['the JSON of its extras does not parse', extrasOf('{}', 0n)],
    ['the JSON of its extras does not parse', extrasOf('['.repeat(3056))],
    ['the JSON of its extras is [], no object', extrasOf('[]')],
    ['kv_offload_prefix is "x"', extrasOf('{"kv_offload_version": "1", "kv_offload_prefix": "x"}')],
  ])('that is foreign or absurd is told from a chunk: %s', (why, bytes) => {
    const message = messageOf('KVO_HEADER_INVALID', () => decodeHeader(bytes, 0, '/cache/file'));
    expect(message).toContain(why);
    expect(message.startsWith('/cache/file: ')).toBe(true);
    expect(message.length).toBeLessThan(400);
  });

  it('is read with as many dimensions as it has room for, without extras then', () => {
    const read = decodeHeader(binary(7n, 1n, 508n, ...ones(508)));
    expect(read.shape).toHaveLength(508);
    expect(read.extras).toBeUndefined();
    const extended = extrasOf('{"kv_offload_version": "1"}');
    expect(decodeHeader(extended).extras).toEqual({});
    expect(decodeHeader(extended.subarray(0, 48)).extras).toBeUndefined();
    expect(decodeHeader(extrasOf('{"kv_offload_version": "2"}')).extras).toBeUndefined();
    extended.write('kvoextra', 1024);
    expect(decodeHeader(extended).extras).toBeUndefined();
  });
});

describe('sum blocks', () => {
  it.each([
    [1, 4],
    [32 * MIB, 4],
    [256 * MIB, 4],
    [256 * MIB + 1, 8],
    [512 * MIB, 8],
    [4096 * MIB, 64],
  ])('of %d bytes are of %d MiB', (bytes, mib) => {
    expect(sumBlockBytes(bytes)).toBe(mib * MIB);
    expect(sumCount(bytes, mib * MIB)).toBeLessThanOrEqual(64);
  });

  it('are summed as the vector of docs/on-disk-format.md says', () => {
    expect(native().blockSums(new TextEncoder().encode('kv-offload'), 4 * MIB)).toEqual(
      BigUint64Array.of(0xccc17b17ade975f1n),
    );
  });
});

describe('decodeHeader', () => {
  it('reads what LMCache writes, at any offset', () => {
    for (const { json, dtype, shape, fmt } of golden.header.filter((header) => !header.multi)) {
      const header = { dtype: headerDtype(dtype), shape, format: fmt as MemoryFormat };
      const bytes = Buffer.concat([Buffer.alloc(13), around(json)]);
      expect(decodeHeader(bytes, 13)).toEqual({ ...header, kind: 'json', payloadBytes: payloadBytes(header) });
    }
  });

  it('ignores further fields, and takes the format of a header without one from its shape', () => {
    const read = decodeHeader(fields({ fmt: undefined, other: [1], shape: [2, 1, 3] }, { note: 'x' }));
    expect(read).toEqual({
      kind: 'json',
      dtype: 'BF16',
      shape: [2, 1, 3],
      format: MEMORY_FORMATS.KV_2TD,
      payloadBytes: 12,
    });
  });

  it.each<[string, Buffer | Uint8Array]>([
    ['it has 0 bytes', Buffer.alloc(0)],
    ['it has 7 bytes', Buffer.alloc(7)],
    ['cut off after 4095', fields().subarray(0, 4095)],
    ['begins with the number 0, neither 4088 nor 1', Buffer.alloc(4096)],
    ['begins with the number 18446744073709551615', around('{}', 2n ** 64n - 1n)],
    ['JSON does not parse', around('')],
    ['JSON does not parse', around('{"kvcache": {')],
    ['JSON does not parse', around('{"kvcache": NaN}')],
    ['JSON does not parse', around('['.repeat(4088))],
    ['JSON does not parse', around('{} trailing')],
    ['JSON does not parse', around('\ufeff{}')],
    ['its JSON is [a list], no object', around('['.repeat(2044) + ']'.repeat(2044))],
    ['its JSON is null', around('null')],
    ['kvcache is missing', around('{}')],
    ['kvcache is [], no object', around('{"kvcache": []}')],
    ['kvcache.dtype is "half"', fields({ dtype: 'half' })],
    ['kvcache.dtype is "__proto__"', fields({ dtype: '__proto__' })],
    ['kvcache.dtype is 3', fields({ dtype: 3 })],
    ['kvcache.shape is missing', fields({ shape: undefined })],
    ['kvcache.shape is []', fields({ shape: [] })],
    ['kvcache.shape is an object', fields({ shape: { length: 2 } })],
    ['kvcache.shape[1] is -3', fields({ shape: [2, -3] })],
    ['kvcache.shape[0] is 0', fields({ shape: [0, 3] })],
    ['kvcache.shape[0] is 1.5', fields({ shape: [1.5, 3] })],
    ['kvcache.shape[1] is "3"', fields({ shape: [2, '3'] })],
    ['kvcache.shape[0] is 1e+300', fields({ shape: [1e300, 3] })],
    ['more than 2^53 - 1 bytes', fields({ shape: [2 ** 40, 2 ** 40] })],
    ['kvcache.data_offsets is missing', fields({ data_offsets: undefined })],
    ['shape and dtype make it [0, 12]', fields({ data_offsets: [0, 13] })],
    ['shape and dtype make it [0, 12]', fields({ data_offsets: [1, 13] })],
    ['shape and dtype make it [0, 12]', fields({ data_offsets: [0, 12, 13] })],
    ['kvcache.fmt is 9', fields({ fmt: 9 })],
    ['kvcache.fmt is null', fields({ fmt: null })],
    ['kvcache.fmt is "1"', fields({ fmt: '1' })],
    ['kvcache.__metadata__ is missing', fields({ __metadata__: undefined })],
    ['lmcache_version is missing', fields({ __metadata__: {} })],
    ['lmcache_version is "2"', fields({}, { lmcache_version: '2' })],
    ['lmcache_version is 1, not', fields({}, { lmcache_version: 1 })],
    ['shapes and kvcache.dtypes are not two lists', fields({ shapes: [[2, 3]] })],
    ['shapes and kvcache.dtypes are not two lists', fields({ shapes: [[2, 3]], dtypes: ['U8', 'U8'] })],
    ['kvcache.dtypes[0] is "x"', fields({ shapes: [[2, 3]], dtypes: ['x'] })],
    ['kvcache.shapes[1][0] is -1', fields({ shapes: [[2, 3], [-1]], dtypes: ['U8', 'U8'] })],
    ['make it [0, 6]', fields({ shapes: [[2, 3]], dtypes: ['U8'] })],
  ])('tells what is wrong and where: %s', (why, bytes) => {
    const message = messageOf('KVO_HEADER_INVALID', () => decodeHeader(bytes, 0, '/cache/file'));
    expect(message).toContain(why);
    expect(message.startsWith('/cache/file: ')).toBe(true);
    expect(message.length).toBeLessThan(400);
  });

  it('refuses JSON that is not UTF-8', () => {
    const bytes = fields();
    bytes[20] = 0xff;
    expect(messageOf('KVO_HEADER_INVALID', () => decodeHeader(bytes))).toContain('not UTF-8');
  });

  describe('our extras', () => {
    const version = { kv_offload_version: '1' };
    const sums = '00112233445566778899aabbccddeeff'.slice(16);

    it('are each optional', () => {
      expect(decodeHeader(fields({}, version)).extras).toEqual({});
      expect(decodeHeader(fields({}, { ...version, kv_offload_prefix: prefix })).extras).toEqual({ prefix });
      expect(decodeHeader(fields({}, { ...version, kv_offload_new: 'x' })).extras).toEqual({});
    });

    it.each([{}, { kv_offload_version: '2' }, { kv_offload_version: 1 }])('are ignored with %j', (other) => {
      expect(decodeHeader(fields({}, { kv_offload_prefix: 'bad', ...other })).extras).toBeUndefined();
    });

    it('hold sums of the payload’s blocks', () => {
      const read = decodeHeader(fields({}, { ...version, kv_offload_sum_block: '4194304', kv_offload_sums: sums }));
      expect(read.extras).toEqual({ sumBlock: 4 * MIB, sums: BigUint64Array.of(0x8899aabbccddeeffn) });
    });

    it.each<[string, Record<string, unknown>]>([
      ['kv_offload_key is ""', { kv_offload_key: '' }],
      ['kv_offload_key is 5', { kv_offload_key: 5 }],
      ['kv_offload_chunk is "-1"', { kv_offload_chunk: '-1' }],
      ['kv_offload_chunk is "01"', { kv_offload_chunk: '01' }],
      ['kv_offload_chunk is 1,', { kv_offload_chunk: 1 }],
      ['beyond 2^53', { kv_offload_chunk: '9999999999999999' }],
      ['kv_offload_prefix is "ab"', { kv_offload_prefix: 'ab' }],
      ['kv_offload_prefix is', { kv_offload_prefix: prefix.toUpperCase() }],
      ['do not stand together', { kv_offload_sums: sums }],
      ['do not stand together', { kv_offload_sum_block: '4194304' }],
      ['does not suit', { kv_offload_sum_block: '4096', kv_offload_sums: sums }],
      ['does not suit', { kv_offload_sum_block: '0', kv_offload_sums: sums }],
      ['does not suit', { kv_offload_sum_block: '4294967296', kv_offload_sums: sums }],
      ['15 digits', { kv_offload_sum_block: '4194304', kv_offload_sums: sums.slice(1) }],
      ['32 digits', { kv_offload_sum_block: '4194304', kv_offload_sums: sums + sums }],
      ['kv_offload_sums is', { kv_offload_sum_block: '4194304', kv_offload_sums: sums.replace('8', 'g') }],
      ['kv_offload_sums is', { kv_offload_sum_block: '4194304', kv_offload_sums: [sums] }],
    ])('of our version must be well formed: %s', (why, bad) => {
      const message = messageOf('KVO_HEADER_INVALID', () => decodeHeader(fields({}, { ...version, ...bad })));
      expect(message).toContain(why);
    });
  });

  it('survives any bytes', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 4096, maxLength: 4096, size: 'max' }),
      fc.string({ unit: 'binary', maxLength: 1000 }).map((text) => around(text)),
      fc.json({ maxDepth: 4 }).map((json) => around(json.slice(0, 1300))),
      fc.json({ maxDepth: 3 }).map((json) => around(`{"kvcache": ${json.slice(0, 1300)}}`)),
      fc
        .dictionary(fc.constantFrom('dtype', 'shape', 'data_offsets', 'fmt', 'shapes', 'dtypes'), fc.jsonValue())
        .map((f) => fields(f)),
      fc
        .dictionary(
          fc.constantFrom('key', 'chunk', 'prefix', 'sum_block', 'sums').map((name) => `kv_offload_${name}`),
          fc.oneof(
            fc.string({ maxLength: 70 }),
            fc.stringMatching(/^[0-9a-f]{16}$/),
            fc.constant('4194304'),
            fc.jsonValue(),
          ),
        )
        .map((extra) => fields({}, { kv_offload_version: '1', ...extra })),
      fc
        .array(fc.oneof(fc.nat(12), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 520 })
        .map((words) => binary(...words.map(BigInt))),
      fc.json({ maxDepth: 3 }).map((json) => extrasOf(json.slice(0, 3000))),
    );
    fc.assert(
      fc.property(anyBytes, fc.integer({ min: 0, max: 40 }), (bytes, at) => {
        const header = survive(() => decodeHeader(bytes, bytes.length % 5 === 0 ? at : 0));
        if (header) expect(header.payloadBytes).toBe(payloadBytes(header));
      }),
      { numRuns: 10_000 },
    );
  });

  it.each(['json', 'binary'] as const)('survives any change of one byte in a good header: %s', (kind) => {
    const { bytes } = encodeHeader({ ...llama, extras }, kind);
    const used = kind === 'json' ? jsonOf(bytes).length + 8 : 2048;
    fc.assert(
      fc.property(fc.nat(used - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        const header = survive(() => decodeHeader(changed));
        if (header) expect(header.payloadBytes).toBe(payloadBytes(header));
      }),
      { numRuns: 3000 },
    );
  });

  it('gives back whatever was encoded', () => {
    const dtypes = DTYPES.flatMap(({ header }): HeaderDtype[] => (header === undefined ? [] : [header]));
    const tensors = fc.record({
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 5 }),
    });
    const headers = fc.record({
      tensors: fc.array(tensors, { minLength: 1, maxLength: 3 }),
      format: fc.constantFrom(...Object.values(MEMORY_FORMATS)),
      key: fc.option(fc.string({ unit: 'binary', minLength: 1, maxLength: 80 })),
      chunkIndex: fc.option(fc.maxSafeNat()),
      seed: fc.option(fc.bigInt(0n, 2n ** 64n - 1n)),
    });
    fc.assert(
      fc.property(headers, ({ tensors, format, key, chunkIndex, seed }) => {
        const [first = { dtype: 'U8', shape: [1] }] = tensors;
        const described = { ...first, ...(tensors.length > 1 && { groups: tensors }) };
        const payload = payloadBytes(described);
        const sumBlock = sumBlockBytes(payload);
        const header: ChunkHeader = {
          ...described,
          format,
          extras: {
            ...(key !== null && { key }),
            ...(chunkIndex !== null && { chunkIndex }),
            ...(seed !== null && { sumBlock, sums: new BigUint64Array(sumCount(payload, sumBlock)).fill(seed) }),
          },
        };
        const read = decodeHeader(encodeHeader(header).bytes);
        expect(read).toEqual({ ...header, kind: 'json', payloadBytes: payload });
        const single = { ...header, format: defaultFormat(first.shape) };
        const binary = survive(() => encodeHeader(single, 'binary'));
        if (binary) expect(decodeHeader(binary.bytes)).toEqual({ ...single, kind: 'binary', payloadBytes: payload });
        else expect(tensors.length > 1 || !BINARY_DTYPES.includes(first.dtype)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
