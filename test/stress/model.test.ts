/**
 * Random operations with random faults, against a model in memory: what was ever stored for a chunk is the only thing
 * that may come back, and a chunk whose store failed is not there.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Config, type RetrieveResult, KVCacheEngine } from '../../src/index.js';
import { CHUNK, CHUNK_BYTES, MODEL, configOf, targets, wholeOf } from '../support/engine.js';
import { dataFiles, leftovers, memoryDirectory } from '../support/directories.js';
import { payload, sameBytes, tokens } from '../support/payload.js';
import { until } from '../support/process.js';

/** Prompts share a trunk of two chunks; each has two of its own. */
const PROMPTS = 3;
const CHUNKS = 4;
const TRUNK = 2;
const promptOf = (prompt: number) => [...tokens(TRUNK * CHUNK), ...tokens(TRUNK * CHUNK, prompt + 1)];
/** A chunk's payload, the same whoever stores it; the trunk's are the same for every prompt. */
const bytesOf = (prompt: number, index: number) =>
  payload(index < TRUNK ? index : (prompt + 1) * 10 + index, CHUNK_BYTES);

type Action =
  | { readonly do: 'store'; readonly prompt: number; readonly count: number; readonly abort: boolean }
  | { readonly do: 'retrieve'; readonly prompt: number; readonly slots: boolean; readonly skip: boolean }
  | { readonly do: 'lookup'; readonly prompt: number }
  | { readonly do: 'remove' | 'spoil' | 'cut'; readonly which: number }
  | { readonly do: 'reopen' };

const prompt = fc.nat(PROMPTS - 1);
const one = <Name extends Action['do']>(name: Name) => fc.constant(name);
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: one('store'),
        prompt,
        count: fc.integer({ min: 1, max: CHUNKS }),
        abort: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: one('retrieve'), prompt, slots: fc.boolean(), skip: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.record({ do: one('lookup'), prompt }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.oneof(one('remove'), one('spoil'), one('cut')), which: fc.nat(20) }),
    },
    { weight: 1, arbitrary: fc.record({ do: one('reopen') }) },
  ),
  { minLength: 5, maxLength: 25 },
);
const CALLS = ['open', 'close', 'fstat', 'stat', 'preadv', 'pwritev', 'link', 'rename', 'mkdir', 'fsync'];
const rules = (faults: readonly string[], most: number) =>
  fc
    .array(
      fc
        .tuple(
          fc.constantFrom(...CALLS),
          fc.constantFrom(...faults),
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 6 }),
        )
        .map(([call, fault, first, count]) => `${call}:${fault}@${first}x${count}`),
      { maxLength: most },
    )
    .map((texts) => texts.join(';'));
const errors = rules(
  ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'EINTR', 'EAGAIN', 'EPERM', 'short=100', 'short=4097', 'delay=1'],
  4,
);
const modes = fc.record({ sync: fc.boolean(), direct: fc.boolean(), threads: fc.integer({ min: 1, max: 3 }) });

/** What is on disk, by path. `spoiled`: of the right size, with a wrong byte. `unsure`: a hung call may yet make it. */
class Model {
  readonly files = new Map<string, 'sound' | 'spoiled' | 'cut' | 'unsure'>();

  harm(base: string, how: 'remove' | 'spoil' | 'cut', which: number): void {
    const files = dataFiles(base);
    const file = files[which % Math.max(files.length, 1)];
    if (file === undefined) return;
    if (how === 'remove') {
      rmSync(file);
      rmSync(`${file}.metadata`, { force: true });
      this.files.delete(file);
      return;
    }
    const bytes = readFileSync(file);
    if (bytes.byteLength < 4096 + CHUNK_BYTES) return;
    writeFileSync(file, how === 'cut' ? bytes.subarray(0, 5000) : Buffer.from(bytes).fill(0x55, 5000, 5004));
    this.files.set(file, how === 'cut' ? 'cut' : 'spoiled');
  }

  async store(engine: KVCacheEngine, action: Extract<Action, { do: 'store' }>): Promise<void> {
    const controller = new AbortController();
    const prepared = engine.prepare(promptOf(action.prompt));
    const sources = Array.from({ length: action.count }, (_, i) => bytesOf(action.prompt, i));
    const storing = engine.store(prepared, sources, { signal: controller.signal });
    if (action.abort) controller.abort();
    for (const { index, outcome, error } of (await storing).chunks) {
      const path = wholeOf(prepared).paths(0)[index] ?? '';
      expect(error === undefined).toBe(outcome === 'stored' || outcome === 'exists');
      if (outcome === 'dropped') expect(error?.code).toBe('KVO_ABORTED');
      if (outcome === 'stored') this.files.set(path, 'sound');
      if (outcome === 'exists') {
        // Any store sees the size of what it says exists, not every byte.
        expect(['sound', 'spoiled', 'unsure']).toContain(this.files.get(path));
        if (this.files.get(path) === 'unsure') this.files.set(path, 'sound');
      }
      if (error?.code === 'KVO_IO_STUCK') this.files.set(path, 'unsure');
    }
  }

  async retrieve(engine: KVCacheEngine, which: number, useSlots: boolean, skip: boolean): Promise<RetrieveResult> {
    const first = skip ? TRUNK : 0;
    const prepared = engine.prepare(promptOf(which), { skipTokens: first * CHUNK });
    const slots = useSlots ? await engine.lease(CHUNKS - first) : [];
    const views = useSlots ? slots.map((slot) => slot.bytes) : targets(CHUNKS - first);
    const result = await engine.retrieve(prepared, useSlots ? slots : views);
    let usable = first;
    for (const [i, { index, outcome, verified, error }] of result.chunks.entries()) {
      if (outcome !== 'hit') {
        expect(error === undefined).toBe(outcome === 'miss');
        continue;
      }
      expect(['sound', 'unsure']).toContain(this.files.get(wholeOf(prepared).paths(0)[i] ?? ''));
      expect(verified).toBe(true);
      expect(sameBytes(views[i] ?? new Uint8Array(), bytesOf(which, index))).toBe(true);
      if (usable === index) usable++;
    }
    expect(result.tokens).toBe(usable * CHUNK);
    for (const slot of slots) slot.release();
    return result;
  }

  /** By an engine without faults: exactly what the model says is there. */
  async check(config: Config): Promise<void> {
    const witness = await KVCacheEngine.open(config, MODEL);
    for (let which = 0; which < PROMPTS; which++) {
      const paths = wholeOf(witness.prepare(promptOf(which))).paths(0);
      const { chunks } = await this.retrieve(witness, which, false, false);
      for (const [i, { outcome }] of chunks.entries()) {
        const state = this.files.get(paths[i] ?? '');
        if (state === undefined) expect(outcome).toBe('miss');
        else if (state === 'sound') expect(outcome).toBe('hit');
        else if (state !== 'unsure') expect(outcome).toBe('corrupt');
      }
    }
    await witness.close();
  }
}

async function play(config: Config, base: string, faults: string, run: readonly Action[]): Promise<Model> {
  const model = new Model();
  const open = () => KVCacheEngine.openWith(config, MODEL, { faults });
  let engine = await open();
  try {
    for (const action of run) {
      if (action.do === 'store') await model.store(engine, action);
      else if (action.do === 'retrieve') await model.retrieve(engine, action.prompt, action.slots, action.skip);
      else if (action.do === 'lookup') {
        const found: unknown = await engine.lookup(promptOf(action.prompt)).catch((error: unknown) => error);
        if (typeof found === 'number') expect(found % CHUNK).toBe(0);
        else expect(found).toMatchObject({ code: expect.stringMatching(/^KVO_/) as string });
      } else if (action.do === 'reopen') {
        await engine.close();
        engine = await open();
      } else model.harm(base, action.do, action.which);
    }
    for (let which = 0; which < PROMPTS; which++) await model.retrieve(engine, which, false, false);
  } finally {
    await engine.close();
  }
  return model;
}

describe('random operations', () => {
  it('with random errors never give a wrong byte, and never show a failed store', async () => {
    await fc.assert(
      fc.asyncProperty(actions, errors, modes, async (run, faults, { sync, direct, threads }) => {
        const base = memoryDirectory();
        const config = await configOf({
          base,
          own: { sync },
          extra: { use_direct_io: direct, gds_io_threads: threads },
        });
        const model = await play(config, base, faults, run);
        expect(leftovers(base)).toEqual([]);
        await model.check(config);
        rmSync(base, { recursive: true });
      }),
      { numRuns: 150 },
    );
  });

  it('with random hangs never give a wrong byte, and leave nothing once the calls come back', async () => {
    const hangs = rules(['delay=120', 'EIO'], 3).filter((text) => text.includes('delay'));
    await fc.assert(
      fc.asyncProperty(actions, hangs, fc.integer({ min: 1, max: 3 }), async (run, faults, threads) => {
        const base = memoryDirectory();
        const settings = { blocking_timeout_secs: 0.06 };
        const config = await configOf({ base, settings, extra: { gds_io_threads: threads } });
        // A hang while it opens is an answer too.
        const model = await play(
          config,
          base,
          faults,
          run.filter((action) => action.do !== 'reopen'),
        ).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'KVO_IO_STUCK' });
          return new Model();
        });
        await until(() => leftovers(base).length === 0);
        await model.check(await configOf({ base }));
        rmSync(base, { recursive: true });
      }),
      { numRuns: 12 },
    );
  });
});
