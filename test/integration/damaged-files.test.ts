/** Files that are not what they say: never a hit, and mended by the next store. */
import { readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets, wholeOf } from '../support/engine.js';
import { dataFiles, leftovers, onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { rawHeader } from '../support/lmcache-files.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';

const prompt = tokens(CHUNK);
const source = payload(3, CHUNK_BYTES);
const SIZE = 4096 + CHUNK_BYTES;

/** A sound file with its JSON changed; as long as before. */
function withJson(file: Buffer, change: (json: string) => string): Buffer {
  const before = file.toString('latin1', 8, 4096).trimEnd();
  const after = change(before);
  if (after === before) throw new Error('nothing was changed');
  return Buffer.concat([rawHeader(after), file.subarray(4096)]);
}

function flipped(file: Buffer, at: number): Buffer {
  const copy = Buffer.from(file);
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}

interface Damage {
  readonly name: string;
  readonly make: (file: Buffer) => Uint8Array;
  readonly code: ErrorCode;
  /** Whether lookup, which sees names and sizes alone, still finds it. */
  readonly found?: true;
  /** Only what was read shows it: a store by an engine that has not read the file says that it exists. */
  readonly hidden?: true;
}

const DAMAGES: readonly Damage[] = [
  { name: 'empty', make: () => new Uint8Array(), code: 'KVO_HEADER_INVALID' },
  { name: 'cut off inside its header', make: (file) => file.subarray(0, 100), code: 'KVO_HEADER_INVALID' },
  { name: 'cut off one byte before its payload', make: (file) => file.subarray(0, 4095), code: 'KVO_HEADER_INVALID' },
  { name: 'a header alone', make: (file) => file.subarray(0, 4096), code: 'KVO_CHUNK_CORRUPT' },
  { name: 'cut off in its last byte', make: (file) => file.subarray(0, SIZE - 1), code: 'KVO_CHUNK_CORRUPT' },
  { name: 'a byte too long', make: (file) => Buffer.concat([file, Buffer.alloc(1)]), code: 'KVO_CHUNK_CORRUPT' },
  { name: 'zeros', make: () => Buffer.alloc(SIZE), code: 'KVO_HEADER_INVALID', found: true },
  { name: 'noise', make: () => payload(99, SIZE), code: 'KVO_HEADER_INVALID', found: true },
  {
    name: 'somebody’s safetensors file',
    make: (file) => Buffer.concat([Buffer.from([80, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{"a":{}}'), file.subarray(16)]),
    code: 'KVO_HEADER_INVALID',
    found: true,
  },
  {
    name: 'begun as LMCache’s binary header of 2025',
    make: (file) => Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), file.subarray(8)]),
    code: 'KVO_HEADER_INVALID',
    found: true,
  },
  {
    name: 'lying about its size',
    make: (file) => withJson(file, (json) => json.replace('"data_offsets": [0, 2048]', '"data_offsets": [0, 4096]')),
    code: 'KVO_HEADER_INVALID',
    found: true,
  },
  {
    name: 'with a sum of another length than its blocks',
    make: (file) => withJson(file, (json) => json.replace(/("kv_offload_sums": ")[0-9a-f]{8}/, '$1')),
    code: 'KVO_HEADER_INVALID',
    found: true,
  },
  {
    name: 'with another key in its header',
    make: (file) => withJson(file, (json) => json.replace('org/small@1@0@', 'org/small@1@1@')),
    code: 'KVO_CHUNK_CORRUPT',
    found: true,
  },
  {
    name: 'with its first payload byte changed',
    make: (file) => flipped(file, 4096),
    code: 'KVO_CHUNK_CORRUPT',
    found: true,
    hidden: true,
  },
  {
    name: 'with its last payload byte changed',
    make: (file) => flipped(file, SIZE - 1),
    code: 'KVO_CHUNK_CORRUPT',
    found: true,
    hidden: true,
  },
  {
    name: 'with another sum than its payload has',
    make: (file) => withJson(file, (json) => json.replace(/("kv_offload_sums": ")[0-9a-f]{8}/, '$100000000')),
    code: 'KVO_CHUNK_CORRUPT',
    found: true,
    hidden: true,
  },
];

describe.each(DAMAGES)('a chunk file that is $name', ({ make, code, found, hidden }) => {
  async function damaged() {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(prompt, [source]);
    const file = onlyDataFile(base);
    // A new file under the old name, as a broken copy would be; the sidecar stays what it was.
    const bytes = make(readFileSync(file));
    unlinkSync(file);
    writeFileSync(file, bytes);
    return { base, engine, file };
  }

  it('is corrupt, not a hit, and replaced by the next store', async () => {
    const { base, engine, file } = await damaged();
    expect(await engine.lookup(prompt)).toBe(found ? CHUNK : 0);
    const result = await engine.retrieve(prompt, targets(1));
    expect(result.tokens).toBe(0);
    expect([outcomesOf(result), codesOf(result)]).toEqual([['corrupt'], [code]]);
    expect(result.chunks[0]?.error?.message).toContain(file);
    expect(engine.stats()).toMatchObject({ corrupt: 1, hits: 0, misses: 0 });

    expect(outcomesOf(await engine.store(prompt, [source]))).toEqual(['stored']);
    const read = targets(1);
    expect(outcomesOf(await engine.retrieve(prompt, read))).toEqual(['hit']);
    expect(sameBytes(read[0] ?? new Uint8Array(), source)).toBe(true);
    expect(outcomesOf(await engine.store(prompt, [source]))).toEqual(['exists']);
    expect(statSync(`${file}.metadata`).ino).toBe(statSync(file).ino);
    expect(leftovers(base)).toEqual([]);
  });

  it(`is ${hidden ? 'taken for sound' : 'replaced too'} by a store that nobody read it before`, async () => {
    const { base } = await damaged();
    const fresh = await openEngine({ base });
    expect(outcomesOf(await fresh.store(prompt, [source]))).toEqual([hidden ? 'exists' : 'stored']);
    expect(outcomesOf(await fresh.retrieve(prompt, targets(1)))).toEqual([hidden ? 'corrupt' : 'hit']);
    expect(leftovers(base)).toEqual([]);
  });

  it('is refused by readChunk with the same code', async () => {
    const { engine, file } = await damaged();
    expect(await rejection(engine.readChunk({ path: file }))).toMatchObject({ code, retriable: false });
  });
});

describe('a damaged chunk among sound ones', () => {
  it('ends the usable prefix there, and only there', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const all = tokens(3 * CHUNK);
    const sources = payloads(3);
    await engine.store(all, sources);
    const path = wholeOf(engine.prepare(all)).paths(0)[1] ?? '';
    writeFileSync(path, flipped(readFileSync(path), 5000));
    const read = targets(3);
    const result = await engine.retrieve(all, read);
    expect(result.tokens).toBe(CHUNK);
    expect(outcomesOf(result)).toEqual(['hit', 'corrupt', 'hit']);
    expect(read[2]).toEqual(sources[2]);
    expect(outcomesOf(await engine.store(all, sources))).toEqual(['exists', 'stored', 'exists']);
    expect((await engine.retrieve(all, read)).tokens).toBe(3 * CHUNK);
    expect(read).toEqual(sources);
  });
});

describe('a chunk that is damaged while its file is kept open', () => {
  it('is seen, whether it is cut off, overwritten or replaced', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(prompt, [source]);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['hit']);
    const [file = ''] = dataFiles(base);
    truncateSync(file, 5000);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['corrupt']);
    await engine.store(prompt, [source]);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['hit']);
    writeFileSync(file, flipped(readFileSync(file), 4096));
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['corrupt']);
    await engine.store(prompt, [source]);
    unlinkSync(file);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['miss']);
  });
});

describe('checksums off', () => {
  it('hands out what is in the file, as unverified, but still checks header and size', async () => {
    const base = temporaryDirectory();
    const careful = await openEngine({ base });
    await careful.store(prompt, [source]);
    const engine = await openEngine({ base, own: { checksums: false } });
    expect(await engine.retrieve(prompt, targets(1))).toMatchObject({ chunks: [{ outcome: 'hit', verified: false }] });
    const file = onlyDataFile(base);
    const sound = readFileSync(file);
    writeFileSync(file, flipped(sound, 5000));
    const read = targets(1);
    expect(await engine.retrieve(prompt, read)).toMatchObject({ chunks: [{ outcome: 'hit', verified: false }] });
    expect(sameBytes(read[0] ?? new Uint8Array(), flipped(sound, 5000).subarray(4096))).toBe(true);
    expect(engine.stats()).toMatchObject({ hits: 2, unverified: 2 });
    expect(outcomesOf(await careful.retrieve(prompt, targets(1)))).toEqual(['corrupt']);
    truncateSync(file, 5000);
    expect(outcomesOf(await engine.retrieve(prompt, targets(1)))).toEqual(['corrupt']);
  });

  it('stores no sums, so that nobody can verify the chunk', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, own: { checksums: false } });
    await engine.store(prompt, [source]);
    expect(readFileSync(onlyDataFile(base)).toString('latin1', 0, 4096)).not.toContain('kv_offload_sum');
    const careful = await openEngine({ base });
    expect(await careful.retrieve(prompt, targets(1))).toMatchObject({ chunks: [{ outcome: 'hit', verified: false }] });
  });
});
