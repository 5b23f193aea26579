import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { keyDtype } from '../../src/dtypes.js';
import { type ChunkHash, pythonText } from '../../src/hash/index.js';
import { type ChunkKey, formatKey, parseKey } from '../../src/keys.js';
import {
  CURRENT_GENERATION,
  GENERATIONS,
  type Generation,
  MEMORY_FORMATS,
  chunkNamer,
  chunkPath,
  chunkShape,
  defaultFormat,
  deviceIndex,
  generationOf,
  memoryFormatName,
  quote,
  recogniseName,
  shapeBytes,
  shardPath,
  suffixFor,
} from '../../src/layout/index.js';
import { anyText, chunkHashes, chunkKeys } from './arbitraries.js';
import { messageOf, survive } from './expect-code.js';
import { generation, golden, goldenGenerations, hashOf, tagsOf } from './golden.js';

const PLAIN = '.kvcache.safetensors';
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const pathOf = (key: ChunkKey, base = '/base', suffix = PLAIN): string =>
  chunkPath(CURRENT_GENERATION, base, key, suffix);
const keyOfName = (name: string): ChunkKey | undefined => recogniseName(name)?.key;

describe('chunkPath', () => {
  const vectors = golden.keys.filter((key) => !key.layer && key.model !== 'm@x');

  it('gives every path of the vectors, with both suffixes, and each path gives its key back', () => {
    expect(vectors.length).toBeGreaterThan(150);
    for (const { str, path, weka } of vectors) {
      const key = parseKey(str);
      expect(pathOf(key, '/mnt/gds/cache')).toBe(path);
      expect(pathOf(key, '/mnt/weka', suffixFor('wekafs'))).toBe(weka);
      expect(keyOfName(nameOf(path))).toEqual(key);
      expect(keyOfName(nameOf(weka))).toEqual(key);
    }
  });

  it('gives the path of a layerwise chunk', () => {
    const [layerwise] = golden.keys.filter((key) => key.layer);
    expect(pathOf(parseKey(layerwise?.str ?? ''), '/mnt/gds/cache')).toBe(layerwise?.path);
  });

  it.each(GENERATIONS)('gives every path of LMCache $name, and refuses what it refuses', (row) => {
    const { keys } = generation(row.name);
    expect(keys).toHaveLength(48);
    let [named, refused] = [0, 0];
    for (const golden of keys) {
      const tags = tagsOf(golden);
      const key: ChunkKey = {
        modelName: golden.model,
        worldSize: golden.ws,
        workerId: golden.wid,
        chunkHash: hashOf(golden),
        dtype: keyDtype(golden.dtype),
        ...(tags.length === 0 ? {} : { tags }),
      };
      if (golden.error !== undefined) {
        expect(messageOf('KVO_KEY_INVALID', () => chunkPath(row, '/base', key, '.weka1'))).toContain('holds _');
        refused++;
        continue;
      }
      for (const [suffix, path] of Object.entries(golden.path ?? {})) {
        expect(chunkPath(row, '/base', key, suffix)).toBe(path);
        expect(recogniseName(nameOf(path), row.header)).toEqual({
          generation: row,
          key: row.key.parse(golden.key),
          text: golden.key,
        });
        named++;
      }
      expect(Object.keys(golden.path ?? {}).sort()).toEqual([...row.suffixes].sort());
    }
    expect([named, refused]).toEqual(
      row.escaping === CURRENT_GENERATION.escaping ? [96, 0] : [36 * row.suffixes.length, 12],
    );
  });

  it('refuses fp8 before 0.4.3, since its name in keys holds _', () => {
    const key = parseKey('m@1@0@abcd@fp8_e4m3fn');
    expect(messageOf('KVO_KEY_INVALID', () => chunkPath(generationOf('0.4.2'), '/base', key, PLAIN))).toContain(
      'fp8 dtypes hold one too',
    );
    expect(chunkPath(generationOf('0.3.9'), '/base', key, '.weka1')).toBe('/base/43/98/vllm@m@1@0@abcd.weka1');
  });

  it('refuses NUL before 0.4.3, which no file name can hold', () => {
    const key = { ...parseKey('m@1@0@abcd@half'), modelName: 'm\0' };
    expect(messageOf('KVO_KEY_INVALID', () => chunkPath(generationOf('0.4.2'), '/base', key, PLAIN))).toContain('NUL');
    expect(pathOf(key)).toContain('m%00%40');
  });

  // str() of CPython 3.11.7, its characters 0-1 and 2-3.
  it.each([
    ['00', "b'/\\x/"],
    ['4142', "b'/AB/"],
    ['410a', "b'/A\\/"],
    ['0d41', "b'/\\r/"],
    ['5c41', "b'/\\\\/"],
    ['2741', `b"/'A/`],
    ['272241', "b'/\\'/"],
    ['2241', `b'/"A/`],
    ['2020', "b'/  /"],
    ['2e2e', "b'/../"],
    // LMCache would lay these at the filesystem's root.
    ['2f41', "b'/A/"],
    ['2f2f', "b'/"],
    ['412f', "b'/A/"],
  ])('puts a digest that begins with %s into directories by its repr', (start, directories) => {
    const chunkHash = start.padEnd(64, '00');
    const key = { ...parseKey('m@1@0@abcd@half'), chunkHash };
    expect(pathOf(key)).toBe(`/base/${directories}m%401%400%40${chunkHash}%40half${PLAIN}`);
  });

  it('stays below its base, whatever the hash', () => {
    fc.assert(
      fc.property(chunkHashes, (chunkHash) => {
        const path = pathOf({ ...parseKey('m@1@0@abcd@half'), chunkHash });
        const [l1 = '', ...below] = path.slice('/base/'.length).split('/');
        expect(path.startsWith('/base/')).toBe(true);
        expect(pythonText(chunkHash).startsWith(l1)).toBe(true);
        expect(below.length).toBeLessThanOrEqual(2);
        expect(l1).not.toMatch(/^\.*$/);
      }),
    );
  });

  it.each([
    [0n, '0/'],
    [7n, '7/'],
    [-7n, '-7/'],
    [12n, '12/'],
    [123n, '12/3/'],
    [-123n, '-1/23/'],
    [43981n, '43/98/'],
  ])('puts the hash %s into directories by its decimal digits', (chunkHash, directories) => {
    const key = { modelName: 'm', worldSize: 1, workerId: 0, chunkHash, dtype: 'half' } as const;
    expect(pathOf(key)).toBe(`/base/${directories}m%401%400%40${chunkHash.toString(16)}%40half${PLAIN}`);
  });

  it('takes a base with a slash at its end, and the root', () => {
    const key = parseKey('m@1@0@abcd@half');
    expect(pathOf(key, '/base/')).toBe(pathOf(key, '/base'));
    expect(pathOf(key, '/')).toBe(`/43/98/m%401%400%40abcd%40half${PLAIN}`);
  });

  it('names the chunks of one prompt as one by one', () => {
    const { chunkHash: _, ...identity } = parseKey('a/b@2@1@0@half@t%v');
    const namer = chunkNamer(CURRENT_GENERATION, '/base', identity, PLAIN);
    const hashes: ChunkHash[] = [7n, -(2n ** 63n), 2n ** 64n - 1n, 'ab'.repeat(32), '0'.repeat(32)];
    for (const chunkHash of hashes) {
      expect(namer.key(chunkHash)).toBe(formatKey({ ...identity, chunkHash }));
      expect(namer.path(chunkHash)).toBe(pathOf({ ...identity, chunkHash }));
    }
  });

  it('refuses a name whose sidecar would pass 255 bytes, and takes one of exactly 255', () => {
    const key = (letters: number) => ({ ...parseKey('m@1@0@abcd@half'), modelName: 'm'.repeat(letters) });
    const most = 255 - nameOf(`${pathOf(key(1))}.metadata`).length + 1;
    expect(`${nameOf(pathOf(key(most)))}.metadata`).toHaveLength(255);
    expect(messageOf('KVO_KEY_TOO_LONG', () => pathOf(key(most + 1)))).toContain('256 bytes');
    const wide = { ...key(1), modelName: '模'.repeat(25) };
    expect(messageOf('KVO_KEY_TOO_LONG', () => pathOf(wide))).toContain('shorten the model name');
  });
});

describe('quote', () => {
  it('leaves alone what Python’s quote leaves alone, and nothing else', () => {
    const kept = 'ABCXYZabcxyz0189_.-~';
    expect(quote(kept)).toBe(kept);
    expect(quote(`/@% !*'()+\u0000é`)).toBe('%2F%40%25%20%21%2A%27%28%29%2B%00%C3%A9');
  });
});

describe('generationOf', () => {
  it.each([
    ['0.3.6', '0.3.6-0.3.9'],
    ['0.3.9', '0.3.6-0.3.9'],
    ['0.3.9.post2', '0.3.6-0.3.9'],
    ['0.3.10', '0.3.10-0.3.11'],
    ['0.3.11', '0.3.10-0.3.11'],
    ['0.3.12', '0.3.12'],
    ['0.3.13', '0.3.13-0.4.2'],
    ['0.4.2', '0.3.13-0.4.2'],
    ['0.4.3', '0.4.3-0.5.6'],
    ['0.4.10', '0.4.3-0.5.6'],
    ['0.5.6', '0.4.3-0.5.6'],
    ['0.5.99', '0.4.3-0.5.6'],
  ])('of LMCache %s is %s', (version, name) => {
    expect(generationOf(version).name).toBe(name);
  });

  it('has a row for each of the vectors, which differ in cells alone', () => {
    expect(GENERATIONS.map(({ name }) => name)).toEqual(Object.keys(goldenGenerations.generations).reverse());
    for (const row of GENERATIONS) expect(Object.keys(row).sort()).toEqual(Object.keys(CURRENT_GENERATION).sort());
  });

  it.each(GENERATIONS)('of $name ends names as its backend does', ({ header, suffix }) => {
    expect(['wekafs', 'ext4'].map(suffix)).toEqual(header === 'binary' ? ['.weka1', '.weka1'] : ['.weka1', PLAIN]);
  });
});

describe('recogniseName', () => {
  const nameIn = (name: string, header?: 'json' | 'binary') => recogniseName(name, header)?.generation.name;

  it('tells by the header what names alone do not', () => {
    const name = 'vllm@m@1@0@abcd@half.weka1';
    expect(nameIn(name, 'binary')).toBe('0.3.10-0.3.11');
    expect(nameIn(name, 'json')).toBe('0.3.12');
    expect(nameIn(name)).toBe('0.3.12');
  });

  it('goes by the name where no generation has both', () => {
    expect(nameIn(`m%401%400%40abcd%40half${PLAIN}`, 'binary')).toBe('0.4.3-0.5.6');
    expect(nameIn('vllm@m@1@0@abcd.weka1', 'json')).toBe('0.3.6-0.3.9');
  });

  it('takes a model called vllm for what it is', () => {
    expect(recogniseName(`vllm@1@0@abcd@half${PLAIN}`)).toMatchObject({
      generation: { name: '0.3.13-0.4.2' },
      key: { modelName: 'vllm' },
    });
  });

  it.each([
    '',
    PLAIN,
    '.weka1',
    'm@1@0@abcd@half',
    `m@1@0@abcd${PLAIN}`,
    `m@1@0@abcd@half${PLAIN}.metadata`,
    `m%401%400%40abcd%40half${PLAIN}.metadata`,
    'm%401%400%40abcd%40half',
    `meta_m@1@0@abcd@fp8_e4m3fn${PLAIN}`,
    `m%401%400%40ABCD%40half${PLAIN}`,
    `m%401%400%400xabcd%40half${PLAIN}`,
    `m%401%400%40abcd%40half%40t%25%2f${PLAIN}`,
    `m%ff%401%400%40abcd%40half${PLAIN}`,
    `m%4${PLAIN}`,
    `vllm@m@1@0@abcd${PLAIN}`,
    `m@1@0@ABCD@half${PLAIN}`,
    `m@01@0@abcd@half${PLAIN}`,
    `m%401%400%40abcd%40half@${PLAIN}`,
    '.kvo-01234567-89abcdef-1-2.tmp',
    `${'m'.repeat(300)}@1@0@abcd@half${PLAIN}`,
  ])('knows none in %j', (name) => {
    expect(recogniseName(name)).toBeUndefined();
  });

  it('survives any name, and what it gives is spelled so', () => {
    const names = fc
      .tuple(
        fc.constantFrom('', 'vllm@', 'm@1@0@abcd@half', 'm%401%400%40'),
        anyText('@%'),
        fc.constantFrom(PLAIN, '.weka1', '', '.metadata'),
        fc.boolean(),
      )
      .map(([start, text, end, quoted]) => {
        const whole = quoted && !/\p{Surrogate}/u.test(text) ? quote(start + text) : start + text;
        return whole + end;
      });
    fc.assert(
      fc.property(names, fc.constantFrom(undefined, 'json' as const, 'binary' as const), (name, header) => {
        const recognised = recogniseName(name, header);
        if (!recognised) return;
        const { generation, key, text } = recognised;
        expect(generation.key.format(key)).toBe(text);
        const suffix = generation.suffixes.find((end) => name.endsWith(end)) ?? '';
        expect(nameOf(survive(() => chunkPath(generation, '/base', key, suffix)) ?? name)).toBe(name);
      }),
      { numRuns: 10_000 },
    );
  });

  it('gives back the key of every name of every generation', () => {
    const rows = fc.constantFrom(...GENERATIONS);
    fc.assert(
      fc.property(rows, chunkKeys, chunkHashes, (row: Generation, identity, chunkHash) => {
        const key = { ...identity, chunkHash };
        const path = survive(() => chunkPath(row, '/base', key, '.weka1'));
        if (path === undefined || nameOf(path).length > 255) return;
        const recognised = recogniseName(nameOf(path), row.header);
        expect(recognised?.text).toBe(row.key.format(key));
        expect(recognised?.generation.key.fields).toEqual(row.key.fields);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('suffixFor', () => {
  it('is WEKA’s on exactly wekafs', () => {
    expect(['wekafs', 'wekafs2', 'WEKAFS', 'ext4', ''].map(suffixFor)).toEqual(['.weka1', PLAIN, PLAIN, PLAIN, PLAIN]);
  });
});

describe('shardPath', () => {
  it.each(Object.entries(golden.shard))('of %s is %s', (device, path) => {
    expect(shardPath(['/a', '/b', '/c'], deviceIndex(device))).toBe(path);
  });

  it('counts an index that is no integer as 0, and takes Python’s modulo of any that is', () => {
    expect(shardPath(['/a', '/b'], NaN)).toBe('/a');
    expect(shardPath(['/a', '/b'], undefined)).toBe('/a');
    expect(shardPath(['/a', '/b', '/c'], -5)).toBe('/b');
    expect(shardPath(['/a'], 17)).toBe('/a');
    messageOf('KVO_ARGUMENT_INVALID', () => shardPath([], 0));
  });
});

describe('shapes', () => {
  it('are those of real models', () => {
    const llama = chunkShape({ layers: 32, heads: 8, headSize: 128 }, 256, false);
    expect(llama).toEqual({ shape: [2, 32, 256, 1024], format: MEMORY_FORMATS.KV_2LTD });
    expect(shapeBytes(llama.shape, 'bfloat16')).toBe(33_554_432);
    const rank = chunkShape({ layers: 80, heads: 2, headSize: 128 }, 256, false);
    expect(shapeBytes(rank.shape, 'fp8_e4m3fn')).toBe(10 * 2 ** 20);
    const deepseek = chunkShape({ layers: 61, heads: 1, headSize: 576 }, 256, true);
    expect(deepseek).toEqual({ shape: [1, 61, 256, 576], format: MEMORY_FORMATS.KV_MLA_FMT });
    expect(shapeBytes(deepseek.shape, 'torch.bfloat16')).toBe(17_989_632);
  });

  it('have the numbers of LMCache’s memory formats', () => {
    const numbers = Object.entries(golden.mem_fmt).map(([name, [number]]) => [name, number]);
    expect(MEMORY_FORMATS).toEqual(Object.fromEntries(numbers));
    expect(memoryFormatName(6)).toBe('KV_MLA_FMT');
  });

  it.each([
    [[2, 32, 256, 1024], 'KV_2LTD'],
    [[1, 61, 256, 576], 'KV_MLA_FMT'],
    [[2, 256, 1024], 'KV_2TD'],
    [[256, 2, 1024], 'KV_T2D'],
    [[2, 2, 1024], 'KV_T2D'],
    [[3, 4, 5, 6], 'BINARY'],
    [[256, 3, 1024], 'BINARY'],
    [[4096], 'BINARY'],
    [[2, 8], 'BINARY'],
  ])('tell the format of %j', (shape, name) => {
    expect(memoryFormatName(defaultFormat(shape))).toBe(name);
  });
});
