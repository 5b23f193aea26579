/** System calls that fail: each gives its chunk a typed error, and leaves nothing behind. */
import { describe, expect, it } from 'vitest';
import type { ErrorCode, RetrieveResult, StoreResult } from '../../src/index.js';
import { CHUNK, type OpeningCalls, openEngine, payloads, targets } from '../support/engine.js';
import { TRANSPORT, byTransport } from '../support/device-memory.js';
import { control } from '../support/gpu.js';
import { dataFiles, filesBelow, leftovers, memoryDirectory, temporaryDirectory } from '../support/directories.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { descriptorsBelow } from '../support/process.js';

type Faults = (opening: OpeningCalls) => string;

const partThenNoSpace = ({ pwritev }: OpeningCalls) =>
  `pwritev:short=512@1x${pwritev + 2};pwritev:ENOSPC@${pwritev + 3}`;

describe('a store whose system call fails', () => {
  it.each<[string, Faults, ErrorCode, boolean]>([
    ['no space to write', () => 'pwritev:ENOSPC', 'KVO_NO_SPACE', true],
    [
      'no space halfway',
      byTransport<Faults>({
        host: partThenNoSpace,
        staged: partThenNoSpace,
        // The headers', after payloads that cuFile wrote.
        gds: () => 'pwritev:ENOSPC',
      }),
      'KVO_NO_SPACE',
      true,
    ],
    ['no quota to write', () => 'pwritev:EDQUOT', 'KVO_NO_SPACE', true],
    ['no space for a name', () => 'link:ENOSPC', 'KVO_NO_SPACE', true],
    ['no space for a directory', () => 'mkdir:ENOSPC', 'KVO_NO_SPACE', true],
    ['a read-only filesystem', () => 'open:EROFS', 'KVO_READ_ONLY', false],
    ['no permission to create', () => 'open:EACCES', 'KVO_PERMISSION', false],
    ['no permission to make a directory', () => 'mkdir:EACCES', 'KVO_PERMISSION', false],
    ['no descriptors', () => 'open:EMFILE', 'KVO_TOO_MANY_FILES', true],
    ['a write error', () => 'pwritev:EIO', 'KVO_IO', true],
    ['a sync error', () => 'fsync:EIO', 'KVO_IO', true],
    ['an error only seen when closing', () => 'close:EIO', 'KVO_IO', true],
    ['a size that cannot be checked', () => 'fstat:EIO', 'KVO_IO', true],
    ['a publish error', () => 'link:EIO', 'KVO_IO', true],
    ['a publish error without hard links', () => 'link:EPERM;rename:EIO', 'KVO_IO', true],
  ])('fails with a typed error, and leaves nothing: %s', async (_, faults, code, retriable) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, own: { sync: true }, faults });
    const prompt = tokens(2 * CHUNK);
    const result = await engine.store(prompt, payloads(2));
    expect(result.present).toBe(0);
    expect([outcomesOf(result), codesOf(result)]).toEqual([
      ['failed', 'failed'],
      [code, code],
    ]);
    const error = result.chunks[0]?.error;
    expect([error?.retriable, error?.message.includes(base)]).toEqual([retriable, true]);
    expect(engine.stats()).toMatchObject({ storeFailed: 2, stored: 0, bytesStored: 0 });
    expect(filesBelow(base)).toEqual([]);
    expect(descriptorsBelow(base)).toEqual([]);
    expect(await (await openEngine({ base })).lookup(prompt)).toBe(0);
  });

  it('fails alone: the rest of its batch is stored, and it is at the next try', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: ({ pwritev }) => `pwritev:ENOSPC@${pwritev + 3}x1` });
    const prompt = tokens(8 * CHUNK);
    const result = await engine.store(prompt, payloads(8));
    expect(result.present).toBe(7);
    expect(outcomesOf(result).filter((outcome) => outcome === 'failed')).toHaveLength(1);
    expect(leftovers(base)).toEqual([]);
    const again = await engine.store(prompt, payloads(8));
    expect(again.present).toBe(8);
    expect(outcomesOf(again).filter((outcome) => outcome === 'stored')).toHaveLength(1);
    const read = targets(8);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(8 * CHUNK);
    expect(read).toEqual(payloads(8));
  });

  it('is stored without a sidecar where only that fails, which is counted', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: ({ link }) => `link:EIO@${link + 2}x1` });
    expect(outcomesOf(await engine.store(tokens(CHUNK), payloads(1)))).toEqual(['stored']);
    expect(engine.stats().io['sidecarFailures']).toBe(1);
    expect(filesBelow(base)).toEqual(dataFiles(base).map((file) => file.slice(base.length + 1)));
    expect(outcomesOf(await engine.retrieve(tokens(CHUNK), targets(1)))).toEqual(['hit']);
    await engine.store(tokens(CHUNK), payloads(1));
    expect(filesBelow(base)).toHaveLength(2);
  });
});

describe('a chunk that another process adds or removes while it is stored', () => {
  it.each<[string, boolean, Faults, string]>([
    ['removed after it was seen to exist', true, ({ open }) => `open:ENOENT@${open + 1}x1`, 'exists'],
    ['added and removed while it was published', false, ({ link }) => `link:EEXIST@${link + 1}x1`, 'stored'],
  ])('is stored in the end: %s', async (_, existing, faults, outcome) => {
    const base = temporaryDirectory();
    if (existing) await (await openEngine({ base })).store(tokens(CHUNK), payloads(1));
    const engine = await openEngine({ base, faults });
    const result = await engine.store(tokens(CHUNK), payloads(1));
    expect([outcomesOf(result), codesOf(result)]).toEqual([[outcome], [undefined]]);
    expect(leftovers(base)).toEqual([]);
    expect(outcomesOf(await engine.retrieve(tokens(CHUNK), targets(1)))).toEqual(['hit']);
  });
});

describe('a filesystem without hard links', () => {
  it.each(['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])('is written by rename (%s)', async (errno) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: `link:${errno}` });
    const prompt = tokens(3 * CHUNK);
    expect(outcomesOf(await engine.store(prompt, payloads(3)))).toEqual(['stored', 'stored', 'stored']);
    expect(outcomesOf(await engine.store(prompt, payloads(3, 1)))).toEqual(['exists', 'exists', 'exists']);
    const read = targets(3);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(3 * CHUNK);
    expect(read).toEqual(payloads(3));
    expect(leftovers(base)).toEqual([]);
    expect(filesBelow(base)).toHaveLength(6);
  });

  it('nor a rename that refuses to replace, still keeps the first chunk', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults: 'link:EPERM;rename:EINVAL@1x1' });
    expect(outcomesOf(await engine.store(tokens(CHUNK), payloads(1)))).toEqual(['stored']);
    expect(outcomesOf(await engine.store(tokens(CHUNK), payloads(1, 1)))).toEqual(['exists']);
    const read = targets(1);
    await engine.retrieve(tokens(CHUNK), read);
    expect(read).toEqual(payloads(1));
    expect(leftovers(base)).toEqual([]);
  });
});

describe('a retrieve whose system call fails', () => {
  it.each<[string, string, ErrorCode]>([
    ['no permission', 'open:EACCES', 'KVO_PERMISSION'],
    ['no descriptors', 'open:EMFILE', 'KVO_TOO_MANY_FILES'],
    ['a size that cannot be asked for', 'fstat:EIO', 'KVO_IO'],
    ['a read error', 'preadv:EIO', 'KVO_IO'],
  ])('fails with a typed error, and is no hit: %s', async (_, faults, code) => {
    const base = temporaryDirectory();
    const prompt = tokens(2 * CHUNK);
    await (await openEngine({ base })).store(prompt, payloads(2));
    const engine = await openEngine({ base, faults });
    const result = await engine.retrieve(prompt, targets(2));
    expect([result.tokens, outcomesOf(result), codesOf(result)]).toEqual([0, ['failed', 'failed'], [code, code]]);
    expect(engine.stats()).toMatchObject({ retrieveFailed: 2, hits: 0, bytesRetrieved: 0 });
    expect(dataFiles(base)).toHaveLength(2);
  });

  it('closes the files it keeps open before it gives up for want of descriptors', async () => {
    const base = temporaryDirectory();
    const prompt = tokens(4 * CHUNK);
    await (await openEngine({ base })).store(prompt, payloads(4));
    const engine = await openEngine({
      base,
      faults: ({ open }) => `open:EMFILE@${open + 3}x1`,
      extra: { gds_io_threads: 1 },
    });
    expect(outcomesOf(await engine.retrieve(prompt, targets(4)))).toEqual(['hit', 'hit', 'hit', 'hit']);
  });

  it('closes them before a store of a chunk that exists gives up, too', async () => {
    const base = temporaryDirectory();
    const prompt = tokens(4 * CHUNK);
    await (await openEngine({ base })).store(prompt, payloads(4));
    const engine = await openEngine({ base, faults: ({ open }) => `open:EMFILE@${open + 1}x1` });
    expect(outcomesOf(await engine.store(prompt, payloads(4)))).toEqual(['exists', 'exists', 'exists', 'exists']);
  });

  it('is not a hit where the file ends early', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(tokens(CHUNK), payloads(1));
    const engine = await openEngine({
      base,
      faults: ({ preadv }) => `preadv:short=5000@${preadv + 1}x1;preadv:eof@${preadv + (TRANSPORT === 'gds' ? 3 : 2)}`,
    });
    if (TRANSPORT === 'gds') control('read:short=1000@1x1;read:eof@2');
    const result = await engine.retrieve(tokens(CHUNK), targets(1));
    expect([result.tokens, outcomesOf(result)]).toEqual([0, ['corrupt']]);
  });
});

describe('a lookup whose system call fails', () => {
  it.each<[string, string, ErrorCode]>([
    ['no permission', 'stat:EACCES', 'KVO_PERMISSION'],
    ['an error', 'stat:EIO', 'KVO_IO'],
  ])('rejects rather than call it a miss: %s', async (_, faults, code) => {
    const engine = await openEngine({ base: temporaryDirectory(), faults });
    expect(await rejection(engine.lookup(tokens(CHUNK)))).toMatchObject({ code });
  });

  it('answers where another directory has the chunk', async () => {
    const base = [temporaryDirectory(), temporaryDirectory()];
    await (await openEngine({ base, own: { device_index: 1 } })).store(tokens(CHUNK), payloads(1));
    const engine = await openEngine({ base, faults: 'stat:EIO@1x1' });
    const answer = await engine.lookup(tokens(CHUNK)).catch((error: unknown) => error);
    // Which of the two was asked first is the pool's choice.
    expect([CHUNK, expect.objectContaining({ code: 'KVO_IO' }) as unknown]).toContainEqual(answer);
    expect(await engine.lookup(tokens(CHUNK))).toBe(CHUNK);
  });
});

/** What is continued in the midst of a unit of direct I/O, as which cuFile's files are opened, is an error. */
const CUT_SHORT: [string, string][] = [
  ['writes of 100 bytes', 'pwritev:short=100'],
  ['reads of 7 bytes', 'preadv:short=7'],
  ['reads that end inside the header', 'preadv:short=4095'],
  ['both, and every third call interrupted', 'pwritev:short=999;preadv:short=1001;pwritev:EINTR@3x1;preadv:EINTR@3x1'],
];

describe('I/O that is cut short or interrupted', () => {
  it.each([
    ...(TRANSPORT === 'gds' ? [] : CUT_SHORT),
    ['calls that ask to be made again', 'pwritev:EAGAIN@1x5;preadv:EAGAIN@1x5;open:EINTR@2x3;fstat:EINTR@1x1'],
  ])('is continued: %s', async (_, faults) => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base, faults, extra: { gds_io_threads: 2 } });
    const prompt = tokens(3 * CHUNK);
    const paged = payloads(3).map((bytes) => [bytes.subarray(0, 333), bytes.subarray(333, 1000), bytes.subarray(1000)]);
    expect(outcomesOf(await engine.store(prompt, paged))).toEqual(['stored', 'stored', 'stored']);
    const read = targets(3);
    const parts = read.map((bytes) => [bytes.subarray(0, 1), bytes.subarray(1, 1500), bytes.subarray(1500)]);
    expect((await engine.retrieve(prompt, parts)).chunks.every((chunk) => chunk.verified)).toBe(true);
    expect(read).toEqual(payloads(3));
    expect(leftovers(base)).toEqual([]);
  });
});

const CALLS = [
  'open',
  'close',
  'fstat',
  'stat',
  'preadv',
  'pwritev',
  'fsync',
  'link',
  'unlink',
  'rename',
  'mkdir',
] as const;

/** Each of the first calls once, and all from the first or from the fifth on. */
const MOMENTS = ['@1', '@5', ...[1, 2, 3, 4, 5, 6, 7, 8].map((first) => `@${first}x1`)];

describe('whichever system call fails, once or from then on', () => {
  const prompt = tokens(2 * CHUNK);
  const sources = payloads(2);

  async function storeAndRetrieve(base: string, faults?: string): Promise<[StoreResult, RetrieveResult]> {
    const engine = await openEngine({
      base,
      own: { sync: true },
      extra: { gds_io_threads: 1 },
      ...(faults && { faults }),
    });
    const stored = await engine.store(prompt, faults === undefined ? [] : sources);
    const read = targets(2);
    const retrieved = await engine.retrieve(prompt, read);
    await engine.close();
    for (const [i, { outcome }] of retrieved.chunks.entries()) {
      if (outcome === 'hit') expect(read[i]).toEqual(sources[i]);
    }
    return [stored, retrieved];
  }

  it.each(CALLS.flatMap((call) => [call, `${call} without hard links`]))(
    '%s: what was stored is sound, what failed is not there',
    async (name) => {
      const [call = ''] = name.split(' ');
      const noLinks = name.includes(' ') && call !== 'link' ? 'link:EPERM;' : '';
      for (const moment of MOMENTS) {
        const base = memoryDirectory();
        const faults = `${noLinks}${call}:EIO${moment}`;
        const [stored] = await storeAndRetrieve(base, faults);
        const [, seen] = await storeAndRetrieve(base);
        const expected = outcomesOf(stored).map((outcome) => (outcome === 'failed' ? 'miss' : 'hit'));
        expect({ faults, seen: outcomesOf(seen) }).toEqual({ faults, seen: expected });
        // A temporary file stays where it can't be unlinked, and nowhere else.
        expect({ faults, left: leftovers(base).length > 0 && call !== 'unlink' }).toEqual({ faults, left: false });
        expect(descriptorsBelow(base)).toEqual([]);
      }
    },
  );
});
