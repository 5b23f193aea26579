/** System calls that do not come back: given up after blocking_timeout_secs, their memory never used again. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHUNK, type OpeningCalls, openEngine, payloads, releaseAll, targets } from '../support/engine.js';
import { TRANSPORT, byTransport, onHost } from '../support/device-memory.js';
import { dataFiles, leftovers, temporaryDirectory } from '../support/directories.js';
import { codesOf, outcomesOf, rejection } from '../support/outcomes.js';
import { sameBytes, tokens } from '../support/payload.js';
import { until } from '../support/process.js';

/** Far above what a call takes that does come back, also where another process keeps the disk busy. */
const settings = { blocking_timeout_secs: 1 };
/** Longer than any test may take: who waits for it has failed. */
const FOR_EVER = 3_600_000;
/** Comes back while the test still looks. */
const A_WHILE = 2500;
const COUNT = 6;
const prompt = tokens(COUNT * CHUNK);

const partThenHang = ({ pwritev }: OpeningCalls) =>
  `pwritev:short=100@${pwritev + 1}x1;pwritev:delay=${FOR_EVER}@${pwritev + 2}x1`;

describe('a write that hangs', () => {
  it('fails its chunk alone, and the engine goes on', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({
      base,
      settings,
      faults: ({ pwritev }) => `pwritev:delay=${FOR_EVER}@${pwritev + 3}x1`,
    });
    const result = await engine.store(prompt, payloads(COUNT));
    expect(codesOf(result).filter((code) => code !== undefined)).toEqual(['KVO_IO_STUCK']);
    expect(outcomesOf(result).filter((outcome) => outcome === 'stored')).toHaveLength(COUNT - 1);
    const hung = result.chunks.findIndex((chunk) => chunk.outcome === 'failed');
    expect(result.chunks[hung]?.error).toMatchObject({ retriable: false });
    expect(dataFiles(base)).toHaveLength(COUNT - 1);

    expect(outcomesOf(await engine.store(prompt, payloads(COUNT)))).toEqual(
      prompt.slice(0, COUNT).map((_, i) => (i === hung ? 'stored' : 'exists')),
    );
    const read = targets(COUNT);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(COUNT * CHUNK);
    expect(read).toEqual(payloads(COUNT));
    expect(engine.stats()).toMatchObject({ storeFailed: 1, stored: COUNT, io: { stuck: 1 } });
  });

  it('keeps its slot for ever, and gives back the others', async () => {
    const engine = await openEngine({
      base: temporaryDirectory(),
      settings,
      faults: ({ pwritev }) => `pwritev:delay=${FOR_EVER}@${pwritev + 1}x1`,
    });
    const { total } = engine.stats().slots;
    const slots = await engine.lease(COUNT);
    const result = await engine.store(prompt, slots);
    const hung = result.chunks.findIndex((chunk) => chunk.outcome === 'failed');
    const offset = slots[hung]?.offset;
    releaseAll(slots);
    expect(engine.stats().slots).toEqual({ total, available: total - 1 });
    const rest = await engine.lease(total - 1);
    expect(rest.map((slot) => slot.offset)).not.toContain(offset);
    expect(await rejection(engine.lease(1, { timeoutMs: 1 }))).toMatchObject({ code: 'KVO_BUSY' });
  });

  it('is told by close, which does not wait for it', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({
      base,
      settings,
      faults: ({ pwritev }) => `pwritev:delay=${FOR_EVER}@${pwritev + 1}x1`,
    });
    await engine.store(prompt, payloads(COUNT));
    const { stuck } = await engine.close();
    expect(stuck).toHaveLength(1);
    expect(stuck[0]).toMatch(/^pwritev of .* after 1000 ms$/);
    expect(stuck[0]).toContain(base);
  });

  it('is given up by a close in its midst', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({
      base,
      settings,
      extra: { gds_io_threads: 1 },
      // The first part of the payload shows that the call after it has begun, or is about to. With gds the payload is
      // cuFile's, and the call the header's.
      faults: byTransport<(opening: OpeningCalls) => string>({
        host: partThenHang,
        staged: partThenHang,
        gds: () => `pwritev:delay=${FOR_EVER}@1x1`,
      }),
    });
    const storing = engine.store(prompt, payloads(COUNT));
    await until(() => leftovers(base).some((file) => statSync(join(base, file)).size > 0));
    const { stuck } = await engine.close();
    expect(stuck).toHaveLength(1);
    const result = await storing;
    const codes = codesOf(result);
    expect(codes).toEqual(['KVO_IO_STUCK', ...new Array<string>(COUNT - 1).fill('KVO_CLOSED')]);
  });
});

describe('a read that hangs', () => {
  it('fails its chunk alone, and what it read before or reads later is no hit', async () => {
    const base = temporaryDirectory();
    await (await openEngine({ base })).store(prompt, payloads(COUNT));
    const engine = await openEngine({
      base,
      settings,
      faults: ({ preadv }) => `preadv:delay=${FOR_EVER}@${preadv + 2}x1`,
    });
    const slots = await engine.lease(COUNT);
    const result = await engine.retrieve(prompt, slots);
    expect(codesOf(result).filter((code) => code !== undefined)).toEqual(['KVO_IO_STUCK']);
    const hung = result.chunks.findIndex((chunk) => chunk.outcome === 'failed');
    expect(result.tokens).toBe(hung * CHUNK);
    for (const [i, slot] of slots.entries()) {
      if (i !== hung) expect(sameBytes(slot.bytes, payloads(COUNT)[i] ?? new Uint8Array())).toBe(true);
    }
    releaseAll(slots);
    expect(engine.stats().slots.available).toBe(engine.stats().slots.total - 1);
    const read = targets(COUNT);
    expect((await engine.retrieve(prompt, read)).tokens).toBe(COUNT * CHUNK);
    expect(read).toEqual(payloads(COUNT));
  });

  it('is not tried in another directory with the same memory', async () => {
    const base = [temporaryDirectory(), temporaryDirectory()];
    for (const device of [0, 1]) {
      await (await openEngine({ base, own: { device_index: device } })).store(tokens(CHUNK), payloads(1));
    }
    const engine = await openEngine({
      base,
      settings,
      faults: ({ preadv }) => `preadv:delay=${A_WHILE}@${preadv + 1}x1`,
    });
    const loads = engine.stats().io['loads'] ?? 0;
    expect(codesOf(await engine.retrieve(tokens(CHUNK), targets(1)))).toEqual(['KVO_IO_STUCK']);
    expect(engine.stats().io['loads']).toBe(loads + 1);
  });
});

describe('a lookup that hangs', () => {
  it('rejects', async () => {
    // One thread, so that the first call is the first chunk's: behind a chunk that is absent nothing need be known.
    const extra = { gds_io_threads: 1 };
    const faults = `stat:delay=${FOR_EVER}@1x1`;
    const engine = await openEngine({ base: temporaryDirectory(), settings, extra, faults });
    expect(await rejection(engine.lookup(prompt))).toMatchObject({ code: 'KVO_IO_STUCK' });
    expect(await engine.lookup(prompt)).toBe(0);
  });
});

describe('a directory that hangs when it is opened', () => {
  // With a GPU no fault reaches the threads that open.
  onHost('rejects the opening', async () => {
    const base = temporaryDirectory();
    const opening = openEngine({ base, settings, faults: `open:delay=${FOR_EVER}@1x1` });
    expect(await rejection(opening)).toMatchObject({ code: 'KVO_IO_STUCK' });
  });
});

describe('a call that comes back after it was given up', () => {
  const after = (call: keyof OpeningCalls) => (opening: OpeningCalls) =>
    `${call}:delay=${A_WHILE}@${opening[call] + 1}x1`;

  const calls: [string, string | ((opening: OpeningCalls) => string)][] = [
    ['stat', `stat:delay=${A_WHILE}@1x1`],
    ['open', after('open')],
    ['mkdir', `mkdir:delay=${A_WHILE}@1x1`],
    ['pwritev', after('pwritev')],
    // Of its first write where cuFile has the payload.
    ['the header’s pwritev', ({ pwritev }) => `pwritev:delay=${A_WHILE}@${pwritev + (TRANSPORT === 'gds' ? 1 : 2)}x1`],
    ['fstat', `fstat:delay=${A_WHILE}@1x1`],
    ['fsync', `fsync:delay=${A_WHILE}@1x1`],
    ['close', ({ close }) => `close:delay=${A_WHILE}@${close + 1}x1`],
    ['link', after('link')],
    ['the sidecar’s link', ({ link }) => `link:delay=${A_WHILE}@${link + 2}x1`],
    ['unlink', after('unlink')],
    ['rename', `link:EPERM;rename:delay=${A_WHILE}@1x1`],
    ['the sidecar’s rename', `link:EPERM;rename:delay=${A_WHILE}@2x1`],
  ];

  it('leaves nothing behind, and the chunk sound or not there', async () => {
    const both = tokens(2 * CHUNK);
    const sources = payloads(2);
    const cases = calls.map(([name, faults]) => ({ name, faults, base: temporaryDirectory() }));
    // Side by side, since each waits for the same while.
    const engines = await Promise.all(
      cases.map(({ base, faults }) =>
        openEngine({ base, settings, own: { sync: true }, extra: { gds_io_threads: 1 }, faults }),
      ),
    );
    const results = await Promise.all(engines.map((engine) => engine.store(both, sources)));
    const codes = results.map((result) => codesOf(result));
    expect(codes.map((codesOfBoth, i) => [cases[i]?.name, ...codesOfBoth])).toEqual(
      cases.map(({ name }) => [name, 'KVO_IO_STUCK', undefined]),
    );
    await new Promise((resolve) => setTimeout(resolve, A_WHILE));
    for (const { base } of cases) await until(() => leftovers(base).length === 0);

    for (const [i, engine] of engines.entries()) {
      expect([cases[i]?.name, (await engine.store(both, sources)).present]).toEqual([cases[i]?.name, 2]);
      const read = targets(2);
      expect((await engine.retrieve(both, read)).tokens).toBe(2 * CHUNK);
      expect(read).toEqual(sources);
      expect(leftovers(cases[i]?.base ?? '')).toEqual([]);
    }
  });
});

describe('a filesystem where everything hangs', () => {
  it('stops taking threads, and answers what is left without waiting for it', async () => {
    const engine = await openEngine({
      base: temporaryDirectory(),
      settings: { blocking_timeout_secs: 0.02 },
      extra: { gds_io_threads: 2 },
      faults: `stat:delay=${FOR_EVER}`,
    });
    const many = tokens(40 * CHUNK);
    const result = await engine.store(many, payloads(40));
    expect(new Set(codesOf(result))).toEqual(new Set(['KVO_IO_STUCK']));
    const given = engine.stats().io['stuck'] ?? 0;
    expect(given).toBeGreaterThan(0);
    expect(given).toBeLessThanOrEqual(12);
    expect((await engine.close()).stuck).toHaveLength(given);
  });
});
