/** Several processes on one directory: what one stores, another finds; what they do at once stays sound. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHUNK, openEngine, payloads, targets } from '../support/engine.js';
import { childResult } from '../support/child.js';
import { dataFiles, leftovers, temporaryDirectory } from '../support/directories.js';
import { outcomesOf } from '../support/outcomes.js';
import { sameBytes, tokens } from '../support/payload.js';

interface Shared {
  readonly pid: number;
  readonly results: readonly unknown[];
}
interface Retrieved {
  readonly tokens: number;
  readonly outcomes: string[];
  readonly sha256: string[];
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const share = (argument: object) => childResult<Shared>('share', argument);

describe('one process after another', () => {
  it('finds and retrieves what was stored, as far as its prompt agrees', async () => {
    const setup = { base: temporaryDirectory() };
    const writer = await share({ setup, steps: [{ call: 'store', chunks: 6 }] });
    const reader = await share({
      setup,
      steps: [
        { call: 'lookup', chunks: 6 },
        { call: 'retrieve', chunks: 6 },
        { call: 'lookup', chunks: 6, divergeAt: 4 * CHUNK + 7 },
        { call: 'retrieve', chunks: 6, divergeAt: 4 * CHUNK + 7 },
        { call: 'store', chunks: 6 },
      ],
    });
    expect(new Set([process.pid, writer.pid, reader.pid]).size).toBe(3);
    expect(writer.results).toEqual([new Array(6).fill('stored')]);
    const [found, retrieved, foundLess, retrievedLess, storedAgain] = reader.results;
    expect([found, foundLess]).toEqual([6 * CHUNK, 4 * CHUNK]);
    expect(retrieved).toEqual({
      tokens: 6 * CHUNK,
      outcomes: new Array(6).fill('hit'),
      sha256: payloads(6).map(sha256),
    });
    const less = retrievedLess as Retrieved;
    expect([less.tokens, less.outcomes]).toEqual([4 * CHUNK, ['hit', 'hit', 'hit', 'hit', 'miss', 'miss']]);
    expect(less.sha256.slice(0, 4)).toEqual(payloads(4).map(sha256));
    expect(storedAgain).toEqual(new Array(6).fill('exists'));
  });
});

/** Starts children that wait for each other. */
function together(count: number, argument: object): Promise<Shared[]> {
  const startAt = join(temporaryDirectory(), 'start');
  let ready = 0;
  const onOutput = (text: string) => {
    if (text.startsWith('\n') && ++ready === count) writeFileSync(startAt, '');
  };
  return Promise.all(
    Array.from({ length: count }, () => childResult<Shared>('share', { ...argument, startAt }, { onOutput })),
  );
}

describe('two processes at once', () => {
  it.each([
    ['by hard links', undefined],
    ['by rename', 'link:EPERM'],
  ])('store each of the same 200 chunks once, %s', async (_, faults) => {
    const base = temporaryDirectory();
    // Small batches, so that neither is ever far ahead.
    const steps = Array.from({ length: 20 }, (_step, seed) => ({ call: 'store', chunks: 10, seed }));
    const both = await together(2, { setup: { base, ...(faults && { faults }) }, steps });
    const [first = [], second = []] = both.map(({ results }) => (results as string[][]).flat());
    expect([first.length, second.length]).toEqual([200, 200]);
    const outcomes = first.map((outcome, i) => [outcome, second[i]].sort().join(' '));
    expect(new Set(outcomes)).toEqual(new Set(['exists stored']));
    expect(dataFiles(base)).toHaveLength(200);
    expect(leftovers(base)).toEqual([]);

    const engine = await openEngine({ base });
    for (let seed = 0; seed < 20; seed++) {
      const read = targets(10);
      const result = await engine.retrieve(tokens(10 * CHUNK, seed), read);
      expect(result.chunks.every((chunk) => chunk.verified)).toBe(true);
      expect(read).toEqual(payloads(10, seed));
    }
  });
});

describe('while another process', () => {
  const CHUNKS = 12;
  const prompt = tokens(CHUNKS * CHUNK);
  const sources = payloads(CHUNKS);

  /** Calls `look` again and again while a child changes the chunks; returns how many rounds it made. */
  async function during(base: string, spoil: boolean, look: () => Promise<void>): Promise<number> {
    const stopAt = join(temporaryDirectory(), 'stop');
    const state = { started: false, ended: false };
    const child = childResult<{ rounds: number }>(
      'churn',
      { setup: { base }, chunks: CHUNKS, spoil, stopAt },
      { onOutput: () => (state.started = true) },
    );
    const ended = child.finally(() => (state.ended = true));
    try {
      for (let rounds = 0; rounds < 300 && !state.ended;) {
        await look();
        if (state.started) rounds++;
      }
    } finally {
      writeFileSync(stopAt, '');
    }
    return (await ended).rounds;
  }

  it('adds and removes chunks, lookups and retrieves are right', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const lengths = new Set<number>();
    const rounds = await during(base, false, async () => {
      lengths.add(await engine.lookup(prompt));
      const read = targets(CHUNKS);
      const result = await engine.retrieve(prompt, read);
      for (const [i, chunk] of result.chunks.entries()) {
        expect(['hit', 'miss']).toContain(chunk.outcome);
        if (chunk.outcome === 'hit')
          expect(sameBytes(read[i] ?? new Uint8Array(), sources[i] ?? new Uint8Array())).toBe(true);
      }
    });
    expect(rounds).toBeGreaterThan(3);
    expect([...lengths].every((length) => length % CHUNK === 0)).toBe(true);
    expect(lengths.size).toBeGreaterThan(1);
    expect(await engine.lookup(prompt)).toBe(CHUNKS * CHUNK);
    expect(leftovers(base)).toEqual([]);
  });

  it('spoils and replaces chunks, no wrong byte is a hit', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const seen = new Set<string>();
    const rounds = await during(base, true, async () => {
      const read = targets(CHUNKS);
      const result = await engine.retrieve(prompt, read);
      for (const [i, chunk] of result.chunks.entries()) {
        seen.add(chunk.outcome);
        if (chunk.outcome === 'hit')
          expect(sameBytes(read[i] ?? new Uint8Array(), sources[i] ?? new Uint8Array())).toBe(true);
      }
    });
    expect(rounds).toBeGreaterThan(3);
    expect(seen).toContain('hit');
    expect(seen).not.toContain('failed');
    expect(outcomesOf(await engine.retrieve(prompt, targets(CHUNKS)))).toEqual(new Array(CHUNKS).fill('hit'));
  });
});
