import { createHash } from 'node:crypto';

import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type TokenArray, chunkRanges, toTokens } from '../../src/chunks.js';
import { HASH_ALGORITHMS, HASH_REGIMES, type HashAlgorithm, type HashRegime } from '../../src/config/index.js';
import { CBOR } from '../../src/hash/cbor-tuple.js';
import {
  type ChunkHash,
  HASH_ROWS,
  configuredNoneHash,
  hashChunks,
  noneHash,
  prefixDigests,
  pythonText,
} from '../../src/hash/index.js';
import { PICKLE } from '../../src/hash/pickle.js';
import type { Link, TupleSpelling } from '../../src/hash/tuple.js';
import { native } from '../../src/native.js';
import { messageOf } from './expect-code.js';
import { golden, goldenGenerations } from './golden.js';

const iota600 = Array.from({ length: 600 }, (_, i) => i);
const inputs: Readonly<Record<string, number[]>> = { ...golden.hash.inputs, iota600 };
const seed0 = { seed: '0', pythonVersion: '3.11' };

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

type Extra = 'none' | 'empty';

/** The link that a hash is to the next chunk. */
function linkOf(previous: ChunkHash): Link {
  return typeof previous === 'bigint'
    ? { high: Number(previous >> 32n), low: Number(previous & 0xffffffffn), bytes: undefined }
    : { high: 0, low: 0, bytes: Buffer.from(previous, 'hex') };
}

/** The bytes our encoders make of (previous, tokens, extra). */
function tupleBytes(
  spelling: TupleSpelling,
  previous: ChunkHash,
  tokens: TokenArray,
  extra: Extra = 'empty',
): Uint8Array {
  const view = new DataView(new ArrayBuffer(spelling.room(tokens.length)));
  return new Uint8Array(view.buffer, 0, spelling.tuple(view, linkOf(previous), tokens, 0, tokens.length, extra));
}

const cborTuple = (previous: bigint, tokens: TokenArray) => tupleBytes(CBOR, previous, tokens);

describe.each(HASH_ALGORITHMS)('%s', (algorithm) => {
  const vectors = golden.hash.algorithms[algorithm];
  const none = BigInt(vectors.none_hash);

  it('begins with LMCache’s NONE_HASH', () => {
    expect(noneHash(algorithm, seed0)).toBe(none);
  });

  const chains = Object.keys(vectors).filter((name) => /^\w+\/\d+$/.test(name));
  it('is checked against every chain of the vectors', () => {
    expect(chains).toHaveLength(6);
  });

  it.each(chains)('hashes %s as LMCache does', (name) => {
    const [input = '', chunk] = name.split('/');
    const tokens = toTokens(inputs[input] ?? []);
    const hashes = hashChunks(tokens, { algorithm, chunkSize: Number(chunk), noneHash: none, saveUnfullChunk: true });
    expect(hashes.map(String)).toEqual(vectors[name]);
  });

  it('hashes the same tokens alike, however they are given', () => {
    const options = { algorithm, chunkSize: 4, noneHash: none, saveUnfullChunk: true };
    const edges = golden.hash.inputs.edges;
    const expected = vectors['edges/4'];
    expect(hashChunks(toTokens(BigInt64Array.from(edges, BigInt)), options).map(String)).toEqual(expected);
    expect(hashChunks(Float64Array.from(edges), options).map(String)).toEqual(expected);
    const narrow = Uint32Array.from(iota600);
    expect(hashChunks(narrow, options)).toEqual(hashChunks(Float64Array.from(narrow), options));
  });

  it('hashes as LMCache does without vLLM, from 0', () => {
    const hashes = hashChunks(toTokens(iota600), { algorithm, chunkSize: 256, noneHash: 0n, saveUnfullChunk: true });
    expect(hashes.map(String)).toEqual(vectors['iota600/256 with NONE_HASH 0 (LMCache without vLLM)']);
  });

  it('runs the chain through a masked prefix', () => {
    const hashes = hashChunks(toTokens(iota600), { algorithm, chunkSize: 256, noneHash: none });
    const shown = chunkRanges(600, 256, { skipTokens: 256 }).map((c) => [c.start, c.end, String(hashes[c.index])]);
    expect(shown).toEqual(vectors['iota600/256 full chunks, first 256 masked']);
  });

  it('hashes nothing of nothing, and takes chunks far longer than the tokens', () => {
    const options = { algorithm, noneHash: none, saveUnfullChunk: true };
    expect(hashChunks(new Uint32Array(0), { ...options, chunkSize: 256 })).toEqual([]);
    expect(hashChunks(toTokens(inputs['one'] ?? []), { ...options, chunkSize: 2 ** 40 }).map(String)).toEqual(
      vectors['one/256'],
    );
  });

  it('leaves the tail out where it is not asked for', () => {
    expect(hashChunks(toTokens(iota600), { algorithm, chunkSize: 256, noneHash: none })).toHaveLength(2);
  });

  it('refuses a NONE_HASH that is no 64-bit number of its kind', () => {
    const bad = algorithm === 'builtin' ? 2n ** 63n : -1n;
    const run = (noneHash: bigint) => () =>
      hashChunks(toTokens([1]), { algorithm, chunkSize: 1, noneHash, saveUnfullChunk: true });
    expect(messageOf('KVO_ARGUMENT_INVALID', run(bad))).toContain(String(bad));
    expect(messageOf('KVO_ARGUMENT_INVALID', run(2n ** 64n))).toContain(String(2n ** 64n));
  });
});

describe('regimes', () => {
  const { legacy_sha256_cbor: legacy } = golden;
  const seeded: Readonly<Record<HashRegime, readonly string[]>> = {
    A: legacy.A_64bit_int_low64_extra_None,
    'B-none': legacy.B_bytes_extra_None,
    'B-empty': legacy.B2_bytes_extra_empty_tuple,
    C: golden.hash.algorithms.sha256_cbor['iota600/256'] as string[],
  };
  const run = (algorithm: HashAlgorithm, regime: HashRegime, none: ChunkHash, saveUnfullChunk = true) =>
    hashChunks(toTokens(iota600), { algorithm, regime, chunkSize: 256, noneHash: none, saveUnfullChunk });

  it.each(HASH_REGIMES)('of sha256_cbor hash as LMCache did: %s', (regime) => {
    const hashes = run('sha256_cbor', regime, noneHash('sha256_cbor', seed0, regime));
    expect(hashes.map(String)).toEqual(seeded[regime]);
  });

  it.each(['0', '7'])('of builtin, seed %s, hash None as Python 3.12 does', (seed) => {
    const vectors = goldenGenerations.builtin_extra_none_py312[seed];
    for (const regime of ['A', 'B-none'] as const) {
      const none = noneHash('builtin', { seed, pythonVersion: '3.12' }, regime);
      expect(String(none)).toBe(vectors?.none_hash);
      expect(run('builtin', regime, none).map(String)).toEqual(vectors?.iota600);
    }
    const today = noneHash('builtin', { seed, pythonVersion: '3.11' });
    expect(run('builtin', 'B-empty', today)).toEqual(run('builtin', 'C', today));
  });

  it.each(['A', 'B-none'] as const)('of builtin cannot be shared by an older Python: %s', (regime) => {
    const make = () => noneHash('builtin', { seed: '0', pythonVersion: '3.11' }, regime);
    expect(messageOf('KVO_CONFIG_INVALID_VALUE', make)).toContain('python_version to 3.12 or later');
  });

  it.each(['sha256', 'xxhash', 'xxhash_cbor'] as const)(
    'of which nothing is known are refused: %s in A',
    (algorithm) => {
      const message = messageOf('KVO_CONFIG_INVALID_VALUE', () => noneHash(algorithm, seed0, 'A'));
      expect(message).toContain(`known of sha256_cbor and builtin, not of ${algorithm}`);
      messageOf('KVO_CONFIG_INVALID_VALUE', () => run(algorithm, 'A', 0n));
    },
  );

  const xxh = (bytes: Uint8Array) => Buffer.from(native().xxh128(bytes));
  it.each([
    ['sha256_cbor', CBOR, sha256],
    ['sha256', PICKLE, sha256],
    ['xxhash_cbor', CBOR, xxh],
    ['xxhash', PICKLE, xxh],
  ] as const)('B of %s keep the whole digest, of the bytes before', (algorithm, spelling, digest) => {
    for (const extra of ['none', 'empty'] as const) {
      const none = noneHash(algorithm, seed0, `B-${extra}`);
      expect(none).toBe(golden.hash.algorithms[algorithm].none_hash_raw);
      let previous = none;
      const expected = [0, 256, 512].map((start) => {
        const tokens = Uint32Array.from(iota600.slice(start, start + 256));
        previous = digest(tupleBytes(spelling, previous, tokens, extra)).toString('hex');
        return previous;
      });
      expect(run(algorithm, `B-${extra}`, none)).toEqual(expected);
      expect(run(algorithm, `B-${extra}`, none, false)).toEqual(expected.slice(0, 2));
    }
  });

  it.each(['sha256', 'xxhash'] as const)(
    'B of %s begin with 0 without vLLM, and with no other kind of link',
    (algorithm) => {
      expect(run(algorithm, 'B-none', 0n)).toHaveLength(3);
      for (const bad of [-1n, 'ab', 'F'.repeat(64), 'f'.repeat(algorithm === 'sha256' ? 32 : 64)]) {
        expect(messageOf('KVO_ARGUMENT_INVALID', () => run(algorithm, 'B-none', bad))).toContain(String(bad));
      }
      messageOf('KVO_ARGUMENT_INVALID', () => run(algorithm, 'C', 'f'.repeat(64)));
    },
  );

  it('follow from a configuration', () => {
    const settings = {
      preCachingHashAlgorithm: 'sha256_cbor',
      hashRegime: 'B-none',
      noneHash: 'vllm',
      hashSeed: '0',
      pythonVersion: '3.11',
    } as const;
    expect(configuredNoneHash(settings)).toBe(golden.hash.algorithms.sha256_cbor.none_hash_raw);
    expect(configuredNoneHash({ ...settings, hashRegime: 'C' })).toBe(5625442194607170974n);
    expect(configuredNoneHash({ ...settings, noneHash: 'zero' })).toBe(0n);
    messageOf('KVO_CONFIG_INVALID_VALUE', () =>
      configuredNoneHash({ ...settings, preCachingHashAlgorithm: 'builtin', noneHash: 'zero' }),
    );
  });
});

describe('seeds', () => {
  it.each(['sha256_cbor', 'sha256'] as const)('take vLLM’s constant where PYTHONHASHSEED is unset: %s', (algorithm) => {
    const unseeded = goldenGenerations['unseeded_vllm_0.33'][algorithm];
    const none = noneHash(algorithm, { seed: undefined, pythonVersion: '3.12' });
    expect(String(none)).toBe(unseeded.none_hash);
    const hashes = hashChunks(toTokens(iota600), {
      algorithm,
      chunkSize: 256,
      noneHash: none,
      saveUnfullChunk: true,
    });
    expect(hashes.map(String)).toEqual(unseeded.iota600);
  });

  it.each([
    ['0', '3.11', 5313149338359954478n],
    ['0', '3.10', -5282990986457227702n],
    ['0', '3.8.18', -5282990986457227702n],
    ['7', '3.13.0', 4372514316192806101n],
    ['7', '3.10.13', 5434741361990355885n],
  ])('make builtin’s NONE_HASH of %s under Python %s', (seed, pythonVersion, expected) => {
    expect(noneHash('builtin', { seed, pythonVersion })).toBe(expected);
  });

  it('give builtin a constant of its own where Python would take a random key', () => {
    // hash('vllm-none-hash') under PYTHONHASHSEED=0, of CPython 3.11.7.
    expect(noneHash('builtin', { seed: undefined, pythonVersion: '3.11' })).toBe(8586095329078945837n);
    const random = noneHash('builtin', { seed: 'random', pythonVersion: '3.11' });
    expect(noneHash('builtin', { seed: 'random', pythonVersion: '3.11' })).toBe(random);
    expect(noneHash('builtin', { seed: '', pythonVersion: '3.11' })).toBe(0n);
  });

  it.each(['4294967296', '-1', '1.5', 'x', '0x10'])('refuse %s for builtin, as Python does', (seed) => {
    const message = messageOf('KVO_CONFIG_INVALID_VALUE', () => noneHash('builtin', { seed, pythonVersion: '3.11' }));
    expect(message).toContain(`PYTHONHASHSEED is "${seed}"`);
  });

  it.each(['3.7', '2.7', '4.0', '3', '', '3.11rc1'])('refuse Python %s for builtin', (pythonVersion) => {
    const message = messageOf('KVO_CONFIG_INVALID_VALUE', () => noneHash('builtin', { seed: '0', pythonVersion }));
    expect(message).toContain('3.8 or later');
  });

  it('are texts to sha256_cbor, whatever they say', () => {
    const first8 = (text: string) => sha256(encode(text)).readBigUInt64BE(0);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (seed) => {
        expect(noneHash('sha256_cbor', { seed, pythonVersion: '' })).toBe(first8(seed));
      }),
    );
  });
});

describe('the bytes that are hashed', () => {
  it('are LMCache’s', () => {
    expect(Buffer.from(cborTuple(0n, Uint32Array.of(0, 1, 2))).toString('hex')).toBe(
      golden.bytes['cbor_of_(0,(0,1,2),())'],
    );
    expect(Buffer.from(CBOR.text('0')).toString('hex')).toBe(golden.bytes['cbor_of_seed_str']);
    expect(Buffer.from(tupleBytes(PICKLE, 0n, Uint32Array.of(0, 1, 2))).toString('hex')).toBe(
      golden.bytes['pickle5_of_(0,(0,1,2),())'],
    );
    expect(Buffer.from(PICKLE.text('0')).toString('hex')).toBe(golden.bytes['pickle5_of_seed_str']);
  });

  const edge = fc.constantFrom(0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER);
  const wide = fc.oneof(edge, fc.maxSafeNat());
  const narrow = fc.oneof(
    edge.filter((n) => n < 2 ** 32),
    fc.nat(300),
    fc.nat(2 ** 31 - 1),
  );

  it('are the canonical CBOR that cborg makes', () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.oneof(fc.array(narrow, { maxLength: 300 }), fc.array(wide, { maxLength: 300 })),
        (previous, tokens) => {
          expect(Buffer.from(cborTuple(previous, toTokens(tokens)))).toEqual(
            Buffer.from(encode([previous, tokens, []])),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('have room for the longest tokens, and for array heads of every length', () => {
    // Not toEqual, which takes seconds over so many bytes.
    const same = (left: Uint8Array, right: Uint8Array) => {
      expect(Buffer.compare(left, right)).toBe(0);
    };
    for (const count of [0, 1, 23, 24, 255, 256, 65535, 65536]) {
      const tokens = new Float64Array(count).fill(Number.MAX_SAFE_INTEGER);
      same(cborTuple(2n ** 64n - 1n, tokens), encode([2n ** 64n - 1n, [...tokens], []]));
      const short = new Uint32Array(count).fill(256);
      same(cborTuple(0n, short), encode([0, [...short], []]));
    }
  });

  it('hold a digest as a byte string, and None as null', () => {
    const digest = '00ff'.repeat(16);
    const expected = encode([Buffer.from(digest, 'hex'), [1, 300], null]);
    expect(Buffer.from(tupleBytes(CBOR, digest, Uint32Array.of(1, 300), 'none'))).toEqual(Buffer.from(expected));
  });
});

describe('pickles', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const wide = (...tokens: number[]) => Float64Array.from(tokens);

  // pickle.dumps(…, protocol=5) of CPython 3.11.7.
  it.each<[string, ChunkHash, TokenArray, Extra, string]>([
    ['no tokens', 0n, Uint32Array.of(), 'empty', '80059507000000000000004b00292987942e'],
    ['one token', 255n, Uint32Array.of(256), 'none', '8005950b000000000000004bff4d000185944e87942e'],
    [
      'integers at the edges of their opcodes',
      2n ** 64n - 1n,
      wide(2 ** 31, 2 ** 53 - 1, 2 ** 31 - 1),
      'empty',
      '80059526000000000000008a09ffffffffffffffff008a0500000080008a07ffffffffffff1f4affffff7f87942987942e',
    ],
    [
      'a digest before, and more than three tokens',
      '00ff'.repeat(8),
      Uint32Array.of(1, 2, 3, 4),
      'none',
      '80059522000000000000004310' + '00ff'.repeat(8) + '94284b014b024b034b0474944e87942e',
    ],
  ])('are CPython’s: %s', (_, previous, tokens, extra, expected) => {
    expect(hex(tupleBytes(PICKLE, previous, tokens, extra))).toBe(expected);
  });

  // Where CPython 3.11.7 closes frames, and the SHA-256 of the whole.
  it.each([
    [13_106, 65_550, '23a78b78ec93db48018e21784721cfe22230b2a85ec2305a7a056d02ed67d759'],
    [13_107, 65_564, 'ca8b9cd9c080f6aa8dd355b283d6b12de33c4fa9d1faf0bbf6d6fe9bd9e29c07'],
    [13_108, 65_569, '44c97d053bbc5d27a36ccdf79c73898112a78d49ff377f439395f9ab88ea4aa6'],
    [30_000, 150_038, '7c25562cbf70c1baf9814a308fff225c9baf165a50ff3267609f31fe463436ab'],
  ])('of %d tokens divide into frames as CPython’s do', (count, bytes, digest) => {
    const pickled = tupleBytes(PICKLE, 0n, new Uint32Array(count).fill(70_000));
    expect(pickled.length).toBe(bytes);
    expect(sha256(pickled).toString('hex')).toBe(digest);
    expect(Buffer.compare(tupleBytes(PICKLE, 0n, new Float64Array(count).fill(70_000)), pickled)).toBe(0);
  });

  it('of a seed are CPython’s, however long it is', () => {
    expect(hex(PICKLE.text(''))).toBe('80059504000000000000008c00942e');
    const long = PICKLE.text('x'.repeat(300));
    expect(hex(long.subarray(0, 17))).toBe('8005953301000000000000582c01000078');
    expect(long).toHaveLength(318);
  });
});

describe('native chains', () => {
  const token = fc.oneof(
    fc.nat(300),
    fc.nat(70_000),
    fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
  );
  const tokens = fc.oneof(
    fc.array(token, { maxLength: 40 }).map((list): TokenArray => Uint32Array.from(list)),
    fc.array(fc.oneof(token, fc.maxSafeNat()), { maxLength: 40 }).map((list): TokenArray => Float64Array.from(list)),
    fc.tuple(token, fc.integer({ min: 6000, max: 20_000 })).map(([one, n]): TokenArray => new Uint32Array(n).fill(one)),
  );
  const links: fc.Arbitrary<ChunkHash> = fc.oneof(
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  );

  it.each([
    ['xxhash_cbor', CBOR],
    ['xxhash', PICKLE],
  ] as const)('%s hash the bytes that TypeScript spells', (algorithm, spelling) => {
    fc.assert(
      fc.property(tokens, links, fc.constantFrom<Extra>('none', 'empty'), (list, previous, extra) => {
        const none = typeof previous === 'bigint' ? previous : Buffer.from(previous, 'hex');
        const digest = native().hashChain(algorithm, none, list, Math.max(list.length, 1), true, extra, 16);
        const expected =
          list.length === 0 ? new Uint8Array() : native().xxh128(tupleBytes(spelling, previous, list, extra));
        expect(Buffer.compare(digest, expected)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it('refuse what would reach beyond their memory', () => {
    const { hashChain } = native();
    const call =
      (none: bigint | Uint8Array, keep: number, chunk = 1) =>
      () =>
        hashChain('xxhash', none, Uint32Array.of(1), chunk, true, 'none', keep as 8);
    expect(call(0n, 12)).toThrow('keep is neither 8 nor 16');
    expect(call(new Uint8Array(17), 16)).toThrow('noneHash is too long');
    expect(call(0n, 8, 0)).toThrow('chunkSize is 0');
  });
});

describe('Python’s text of a hash', () => {
  it.each<[ChunkHash, string]>([
    [43981n, '43981'],
    [-5282990986457227702n, '-5282990986457227702'],
    ['00412f5c090a0d7f8020277e' + '00'.repeat(4), String.raw`b"\x00A/\\\t\n\r\x7f\x80 '~\x00\x00\x00\x00"`],
    ['2741'.repeat(8), `b"${"'A".repeat(8)}"`],
    ['2741'.repeat(7) + '2222', `b'${"\\'A".repeat(7)}""'`],
  ])('%s is %s', (hash, text) => {
    expect(pythonText(hash)).toBe(text);
  });
});

describe('CPython’s hash()', () => {
  const { pythonStringHash, hashChain } = native();
  const text = (s: string) => new TextEncoder().encode(s);

  it.each([
    ['0', 'str0'],
    ['123', 'str123'],
  ])('of the str %s', (value, name) => {
    expect(String(pythonStringHash(text(value), 0, '1-3'))).toBe(golden.python_hash[name]);
  });

  it('of the empty str is 0, and of other lengths what CPython says', () => {
    expect(pythonStringHash(text(''), 7, '1-3')).toBe(0n);
    // CPython 3.11.7 and 3.10.13 with PYTHONHASHSEED=4294967295.
    expect(pythonStringHash(text('abcdefgh'), 4294967295, '1-3')).toBe(3424456984880118976n);
    expect(pythonStringHash(text('abcdefghijklmno'), 4294967295, '2-4')).toBe(8239143308184564403n);
  });

  it('reduces the previous hash as it does an int, so that a number and its hash begin equal chains', () => {
    const ints = Object.entries(golden.python_hash['ints'] as Record<string, string>).filter(
      ([int]) => BigInt.asIntN(64, BigInt(int)) === BigInt(int),
    );
    expect(ints.length).toBe(8);
    for (const [int, hash] of ints) {
      const chain = (none: string) => hashChain('builtin', BigInt(none), Uint32Array.of(1, 2), 2, false, 'empty');
      // −1 hashes as −2: a chain from either is the same.
      expect(chain(int)).toEqual(chain(hash));
    }
  });

  it('of a tuple is that of the vectors', () => {
    expect(String(hashChain('builtin', 1n, Uint32Array.of(2, 3), 2, false, 'empty')[0])).toBe(
      golden.python_hash['(1,(2,3),())'],
    );
  });
});

describe('the table of algorithms', () => {
  it('has a row for each name the configuration takes, which are all that LMCache has', () => {
    expect([...HASH_ALGORITHMS].sort()).toEqual(Object.keys(golden.hash.algorithms).sort());
    expect(Object.keys(HASH_ROWS).sort()).toEqual([...HASH_ALGORITHMS].sort());
  });
});

describe('prefixDigests', () => {
  it('chains SHA-256 over the canonical CBOR of each chunk’s tokens', () => {
    const digests = prefixDigests(toTokens(iota600), 256, { saveUnfullChunk: true });
    let previous = sha256('kv-offload prefix 1');
    const expected = [0, 256, 512].map((start) => {
      previous = sha256(previous, encode(iota600.slice(start, start + 256)));
      return previous.toString('hex');
    });
    expect(digests).toEqual(expected);
    expect(prefixDigests(toTokens(iota600), 256)).toEqual(expected.slice(0, 2));
  });

  it('gives the vector of docs/on-disk-format.md', () => {
    expect(prefixDigests(toTokens([1, 2, 300, 70000]), 2)).toEqual([
      '73daa12a8674182b39c75b2b3724b6eabfc392fc6636de62cf14a2f05e6e782a',
      '63accdf859979f9d3f4e733df6cfd79a2f0cf4c71a2cea09646eabbcca39b671',
    ]);
  });

  it('tells apart prompts that differ in an earlier chunk only', () => {
    const [, a] = prefixDigests(toTokens([1, 2, 3, 4]), 2);
    const [, b] = prefixDigests(toTokens([1, 9, 3, 4]), 2);
    expect(a).not.toBe(b);
  });

  it('has none for no tokens', () => {
    expect(prefixDigests(new Uint32Array(0), 256, { saveUnfullChunk: true })).toEqual([]);
  });
});
