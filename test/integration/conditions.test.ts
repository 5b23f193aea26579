/** Real directories and filesystems: missing, in the way, gone, full, read-only, with and without O_DIRECT. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHUNK, modelOfKiB, openEngine, payloads, targets } from '../support/engine.js';
import { childResult } from '../support/child.js';
import { TRANSPORT, byTransport } from '../support/device-memory.js';
import { dataFiles, filesBelow, leftovers, onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { remount, tinyFilesystem } from '../support/mounts.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';

const prompt = tokens(4 * CHUNK);

describe('a directory that is missing', () => {
  it('is made when the engine opens, with those above it', async () => {
    const base = join(temporaryDirectory(), 'a', 'b', 'c d%1');
    const engine = await openEngine({ base });
    expect(engine.paths.map(({ path, suffix }) => [path, suffix])).toEqual([[base, '.kvcache.safetensors']]);
    expect(filesBelow(base)).toEqual([]);
    expect((await engine.store(prompt, payloads(4))).present).toBe(4);
  });

  it('may be a link to another', async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'real'));
    symlinkSync('real', join(root, 'link'));
    await (await openEngine({ base: join(root, 'link') })).store(prompt, payloads(4));
    expect(await (await openEngine({ base: join(root, 'real') })).lookup(prompt)).toBe(4 * CHUNK);
  });
});

describe('a directory that cannot be had', () => {
  it.each<[string, (root: string) => string]>([
    ['a file', (root) => join(root, 'file')],
    ['below a file', (root) => join(root, 'file', 'cache')],
    ['a link to itself', (root) => join(root, 'loop')],
    ['a link to nothing', (root) => join(root, 'nowhere')],
    ['a name that is too long', (root) => join(root, 'x'.repeat(300))],
  ])('refuses the opening: %s', async (_, pathOf) => {
    const root = temporaryDirectory();
    writeFileSync(join(root, 'file'), 'mine');
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('/proc/nonexistent/kvo', join(root, 'nowhere'));
    const error = await rejection(openEngine({ base: pathOf(root) }));
    expect(error).toMatchObject({ code: 'KVO_PATH_UNUSABLE', retriable: false });
    expect(error.message).toContain(pathOf(root));
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('mine');
  });

  it('refuses it where nothing can be made, rather than try for ever', async () => {
    const { code } = await rejection(openEngine({ base: '/proc/kvo-test/cache' }));
    expect(['KVO_PATH_UNUSABLE', 'KVO_PERMISSION']).toContain(code);
  });

  it('refuses it where one of several is such', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    expect(await rejection(openEngine({ base: [temporaryDirectory(), file] }))).toMatchObject({
      code: 'KVO_PATH_UNUSABLE',
    });
  });
});

describe('a directory that this user may not write', () => {
  /** As root everything may be written: another user must try. */
  const asNobody = process.getuid?.() === 0 ? { uid: 65534 } : {};

  interface Attempt {
    refused?: string;
    readOnly?: string;
    stored?: string[];
    retrieved?: string[];
    found?: unknown;
  }

  it('is read from, and its stores fail', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(prompt, payloads(2));
    const all = [base, ...dataFiles(base).flatMap((file) => [join(file, '..'), join(file, '..', '..')])];
    for (const directory of all) chmodSync(directory, 0o555);
    const attempt = await childResult<Attempt>('open', { base }, asNobody);
    for (const directory of all) chmodSync(directory, 0o755);
    expect(attempt).toEqual({
      readOnly: 'EACCES',
      stored: ['exists', 'exists', 'KVO_PERMISSION', 'KVO_PERMISSION'],
      retrieved: ['hit', 'hit', 'miss', 'miss'],
      found: 2 * CHUNK,
    });
  });

  it('is refused where it would have to be made', async () => {
    const root = temporaryDirectory();
    chmodSync(root, 0o555);
    const attempt = await childResult<Attempt>('open', { base: join(root, 'cache') }, asNobody);
    chmodSync(root, 0o755);
    expect(attempt).toEqual({ refused: 'KVO_PERMISSION' });
  });

  it('nor read gives permission errors, not misses', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(prompt, payloads(4));
    chmodSync(base, 0o000);
    const attempt = await childResult<Attempt>('open', { base }, asNobody);
    chmodSync(base, 0o755);
    // Whether it can be opened at all is for the kernel to say; if it can, nothing is a miss.
    if (attempt.refused !== undefined) expect(attempt).toEqual({ refused: 'KVO_PERMISSION' });
    else {
      const denied = new Array<string>(4).fill('KVO_PERMISSION');
      expect(attempt).toEqual({ readOnly: 'EACCES', stored: denied, retrieved: denied, found: 'KVO_PERMISSION' });
    }
  });

  it('gives a permission error for a chunk that it may not read', async () => {
    const base = temporaryDirectory();
    chmodSync(base, 0o777);
    await (await openEngine({ base })).store(tokens(CHUNK), payloads(1));
    chmodSync(onlyDataFile(base), 0o000);
    const attempt = await childResult<Attempt>('open', { base }, asNobody);
    expect(attempt.retrieved?.[0]).toBe('KVO_PERMISSION');
    expect(attempt.stored?.[0]).toBe('KVO_PERMISSION');
  });
});

describe('a read-only filesystem', () => {
  it('is read from, and its stores fail', async () => {
    const base = tinyFilesystem('size=1m');
    if (base === undefined) return;
    await (await openEngine({ base })).store(prompt, payloads(2));
    remount(base, 'ro');
    const engine = await openEngine({ base });
    expect(engine.paths[0]?.readOnly).toBe('EROFS');
    expect(await engine.lookup(prompt)).toBe(2 * CHUNK);
    expect(outcomesOf(await engine.retrieve(prompt, targets(2)))).toEqual(['hit', 'hit']);
    const result = await engine.store(prompt, payloads(4));
    expect(codesOf(result)).toEqual([undefined, undefined, 'KVO_READ_ONLY', 'KVO_READ_ONLY']);
    expect(outcomesOf(result)).toEqual(['exists', 'exists', 'failed', 'failed']);
    expect(await rejection(openEngine({ base: join(base, 'more') }))).toMatchObject({ code: 'KVO_READ_ONLY' });
    remount(base, 'rw');
    expect((await engine.store(prompt, payloads(4))).present).toBe(4);
  });
});

describe('a filesystem that is full', () => {
  it.each(['size=48k', 'nr_inodes=20'])(
    'fails the stores that do not fit, leaves nothing of them, and goes on (%s)',
    async (limit) => {
      const base = tinyFilesystem(`size=1m,${limit}`);
      if (base === undefined) return;
      const engine = await openEngine({ base });
      const many = tokens(20 * CHUNK);
      const result = await engine.store(many, payloads(20));
      const failed = result.chunks.filter((chunk) => chunk.outcome === 'failed');
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.length).toBeLessThan(20);
      expect(new Set(failed.map((chunk) => chunk.error?.code))).toEqual(new Set(['KVO_NO_SPACE']));
      expect(failed[0]?.error?.retriable).toBe(true);
      expect(leftovers(base)).toEqual([]);
      expect(dataFiles(base)).toHaveLength(result.present);

      const read = targets(20);
      const back = await engine.retrieve(many, read);
      expect(outcomesOf(back)).toEqual(outcomesOf(result).map((outcome) => (outcome === 'stored' ? 'hit' : 'miss')));
      for (const [i, chunk] of back.chunks.entries())
        if (chunk.outcome === 'hit') expect(read[i]).toEqual(payloads(20)[i]);

      for (const file of dataFiles(base)) {
        unlinkSync(file);
        // There is none where another store took the last inode before it: stored all the same, and mended later.
        rmSync(`${file}.metadata`, { force: true });
      }
      // Files that are kept open hold their space until they are found to be gone.
      await engine.retrieve(many, targets(20));
      const [first] = failed;
      const skipTokens = first?.start ?? 0;
      expect((await engine.store(many, payloads(1), { skipTokens })).present).toBe(1);
    },
  );
});

describe('a directory that goes away while the engine is open', () => {
  it('is a miss to read, an error to write, and is never made anew below a lost mount', async () => {
    const base = join(temporaryDirectory(), 'cache');
    const engine = await openEngine({ base });
    await engine.store(prompt, payloads(2));
    renameSync(base, `${base}.away`);
    expect(await engine.lookup(prompt)).toBe(0);
    expect(outcomesOf(await engine.retrieve(tokens(4 * CHUNK, 1), targets(4)))).toEqual([
      'miss',
      'miss',
      'miss',
      'miss',
    ]);
    const result = await engine.store(prompt, payloads(4));
    expect(new Set(codesOf(result))).toEqual(new Set(['KVO_PATH_UNUSABLE']));
    expect(existsSync(base)).toBe(false);

    renameSync(`${base}.away`, base);
    expect(await engine.lookup(prompt)).toBe(2 * CHUNK);
    expect((await engine.store(prompt, payloads(4))).present).toBe(4);
  });

  it('may be emptied: all is a miss, and stored again', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    await engine.store(prompt, payloads(4));
    await engine.retrieve(prompt, targets(4));
    for (const file of filesBelow(base)) rmSync(join(base, file));
    expect(await engine.lookup(prompt)).toBe(0);
    expect(outcomesOf(await engine.retrieve(prompt, targets(4)))).toEqual(['miss', 'miss', 'miss', 'miss']);
    for (const entry of filesBelow(base)) expect.fail(entry);
    expect(outcomesOf(await engine.store(prompt, payloads(4)))).toEqual(['stored', 'stored', 'stored', 'stored']);
  });
});

describe('O_DIRECT', () => {
  /** Neither the bytes of a chunk nor where the memory lies are whole units of 4096. */
  const sizes = [1, 4, 33, 1024 + 1];
  const places: [string, string | undefined][] = [
    ['in the directory for temporary files', undefined],
    ['in shared memory', existsSync('/dev/shm') ? '/dev/shm' : undefined],
  ];

  it.each(places)('is used where the filesystem takes it, and the reason told where not: %s', async (_, where) => {
    for (const kib of sizes) {
      const base = temporaryDirectory(where);
      const setup = {
        base,
        model: modelOfKiB(kib),
        settings: { cufile_buffer_size: 4, save_unfull_chunk: true },
        own: { slice_mib: 1 },
      };
      const engine = await openEngine({ ...setup, extra: { use_direct_io: true } });
      const refused = engine.paths[0]?.directRefused;
      expect(engine.transport.io[0]).toMatchObject({ path: base, mode: refused === undefined ? 'direct' : 'buffered' });
      if (refused !== undefined) expect(engine.transport.io[0]?.reason).toContain(refused);

      const bytes = kib * 1024;
      const tail = (bytes / CHUNK) * 7;
      const all = tokens(2 * CHUNK + 7);
      const sources = [payload(1, bytes), payload(2, bytes + 3).subarray(3), payload(3, tail)];
      const [slot] = await engine.lease(1);
      if (!slot) return expect.fail('a slot');
      slot.bytes.set(sources[0] ?? []);
      expect(
        (
          await engine.store(all, [
            slot,
            sources[1] ?? [],
            [sources[2]?.subarray(0, 100) ?? [], sources[2]?.subarray(100) ?? []].flat(),
          ])
        ).present,
      ).toBe(3);
      for (const file of dataFiles(base)) expect([4096 + bytes, 4096 + tail]).toContain(statSync(file).size);

      const into = [new Uint8Array(bytes), new Uint8Array(bytes + 1).subarray(1), new Uint8Array(tail)];
      const result = await engine.retrieve(all, into);
      expect(result.chunks.every((chunk) => chunk.verified)).toBe(true);
      expect(into.every((view, i) => Buffer.compare(view, sources[i] ?? new Uint8Array()) === 0)).toBe(true);
      await engine.retrieve(all, [slot]);
      expect(Buffer.compare(slot.bytes, sources[0] ?? new Uint8Array())).toBe(0);

      const { io } = engine.stats();
      const moved = 2 * bytes + tail;
      const [direct, buffered] = refused === undefined ? [moved, 0] : [0, moved];
      expect(io).toMatchObject(
        byTransport({
          host: { storeBytesDirect: direct, storeBytesBuffered: buffered },
          staged: { storeBytesStaged: moved },
          gds: { storeBytesGds: moved },
        }),
      );
      const via = { host: 'direct', staged: 'staged-direct', gds: 'gds' } as const;
      if (refused === undefined)
        expect(new Set(result.chunks.map((chunk) => chunk.via))).toEqual(new Set([via[TRANSPORT]]));
      // What was written directly is read by others without.
      const plain = await openEngine(setup);
      expect((await plain.retrieve(all, into)).tokens).toBe(all.length);
      expect(leftovers(base)).toEqual([]);
    }
  });

  it('that is refused for one file is buffered for it alone', async () => {
    const base = temporaryDirectory();
    const setup = { base, extra: { use_direct_io: true, gds_io_threads: 1 } };
    const engine = await openEngine({
      ...setup,
      faults: ({ open }) => `open:ENOENT@${open + 1}x1;open:EINVAL@${open + 2}x1`,
    });
    const refused = engine.paths[0]?.directRefused !== undefined;
    expect((await engine.store(prompt, payloads(4))).present).toBe(4);
    expect(engine.stats().io).toMatchObject({
      directRefused: refused ? 4 : 1,
      ...byTransport({
        host: { storeBytesBuffered: refused ? 4 * 2048 : 2048, storeBytesDirect: refused ? 0 : 3 * 2048 },
        staged: { storeBytesStaged: 4 * 2048 },
        gds: { storeBytesGds: 4 * 2048 },
      }),
    });
    const read = targets(4);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(4 * CHUNK);
    expect(read).toEqual(payloads(4));
  });
});
