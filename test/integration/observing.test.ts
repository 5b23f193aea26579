/** What can be seen of an engine's work: counters, and tracing channels. */
import { tracingChannel } from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CHUNK, CHUNK_BYTES, openEngine, payloads, targets, wholeOf } from '../support/engine.js';
import { TRANSPORT, byTransport } from '../support/device-memory.js';
import { dataFiles, temporaryDirectory } from '../support/directories.js';
import { rejection } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';

interface Event {
  readonly event: string;
  readonly message: Record<string, unknown>;
}

/** Everything that a channel tells from now on, each message as it was when it came. */
function listen(name: 'store' | 'retrieve' | 'lookup'): Event[] {
  const events: Event[] = [];
  const channel = tracingChannel(`kv-offload:${name}`);
  const note = (event: string) => (message: unknown) => {
    events.push({ event, message: { ...(message as object) } });
  };
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  };
  channel.subscribe(subscribers);
  onTestFinished(() => {
    channel.unsubscribe(subscribers);
  });
  return events;
}

describe('a tracing channel', () => {
  it('tells of a store: when it starts, and with its result when it ends', async () => {
    const events = listen('store');
    const engine = await openEngine({ base: temporaryDirectory() });
    const result = await engine.store(tokens(3 * CHUNK + 1), payloads(2), { skipTokens: CHUNK });
    expect(events.map(({ event }) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(events[0]?.message).toEqual({ tokens: 3 * CHUNK + 1, chunks: 2 });
    expect(events[3]?.message).toEqual({ tokens: 3 * CHUNK + 1, chunks: 2, result });
  });

  it('tells of a retrieve and of a lookup', async () => {
    const [retrieves, lookups] = [listen('retrieve'), listen('lookup')];
    const engine = await openEngine({ base: temporaryDirectory() });
    await engine.store(tokens(CHUNK), payloads(1));
    const result = await engine.retrieve(tokens(2 * CHUNK), targets(2));
    await engine.lookup(tokens(2 * CHUNK));
    expect(retrieves.at(-1)).toEqual({ event: 'asyncEnd', message: { tokens: 2 * CHUNK, chunks: 2, result } });
    expect(lookups.at(-1)).toEqual({ event: 'asyncEnd', message: { tokens: 2 * CHUNK, chunks: 2, result: CHUNK } });
  });

  it('tells of an error, in the same order', async () => {
    const events = listen('lookup');
    const engine = await openEngine({ base: temporaryDirectory(), faults: 'stat:EIO' });
    const error = await rejection(engine.lookup(tokens(CHUNK)));
    expect(events.map(({ event }) => event)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    expect(events[2]?.message).toEqual({ tokens: CHUNK, chunks: 1, error });
  });

  it('tells of memory that was refused', async () => {
    const events = listen('store');
    const engine = await openEngine({ base: temporaryDirectory() });
    const error = await rejection(engine.store(tokens(CHUNK), [new Uint8Array(1)]));
    expect(events.find(({ event }) => event === 'error')?.message).toMatchObject({ error });
  });
});

describe('the counters', () => {
  it('add up over stores, retrieves and lookups of every kind', async () => {
    const base = temporaryDirectory();
    const engine = await openEngine({ base });
    const prompt = tokens(4 * CHUNK);
    await engine.store(prompt, payloads(3));
    await engine.store(prompt, payloads(4));
    await engine.store(tokens(2 * CHUNK, 1), payloads(2), { signal: AbortSignal.abort() });
    const [broken = '', gone = ''] = [wholeOf(engine.prepare(prompt)).paths(0)[1], dataFiles(base)[0]];
    expect(gone).not.toBe('');
    writeFileSync(broken, readFileSync(broken).fill(0, 5000, 5001).fill(1, 5001, 5010));
    await engine.retrieve(prompt, targets(4));
    await engine.retrieve(tokens(2 * CHUNK, 2), targets(2));
    await engine.retrieve(prompt, targets(4), { signal: AbortSignal.abort() });
    await engine.lookup(prompt);
    await engine.lookup(tokens(5 * CHUNK, 3));
    const { io, slots, cufile, ...counters } = engine.stats();
    expect(cufile === undefined).toBe(TRANSPORT !== 'gds');
    expect(counters).toEqual({
      lookups: 2,
      lookedUp: 9,
      found: 4,
      hits: 3,
      misses: 2,
      corrupt: 1,
      collisions: 0,
      unverified: 0,
      retrieveFailed: 4,
      stored: 4,
      exists: 3,
      dropped: 2,
      storeFailed: 0,
      bytesRetrieved: 3 * CHUNK_BYTES,
      bytesStored: 4 * CHUNK_BYTES,
    });
    expect(io).toMatchObject({
      stores: 7,
      loads: 6,
      exists: 9,
      failures: 0,
      stuck: 0,
      ...byTransport({
        host: { loadBytesBuffered: 4 * CHUNK_BYTES, storeBytesBuffered: 4 * CHUNK_BYTES },
        staged: { loadBytesStaged: 4 * CHUNK_BYTES, storeBytesStaged: 4 * CHUNK_BYTES },
        gds: { loadBytesGds: 4 * CHUNK_BYTES, storeBytesGds: 4 * CHUNK_BYTES },
      }),
      directRefused: 0,
      linksRefused: 0,
      sidecarFailures: 0,
    });
    expect(slots).toEqual({ total: 16, available: 16 });
  });

  it('are of one engine, and go on being told after it closed', async () => {
    const base = temporaryDirectory();
    const [one, other] = [await openEngine({ base }), await openEngine({ base })];
    await one.store(tokens(CHUNK), payloads(1));
    expect([one.stats().stored, other.stats().stored]).toEqual([1, 0]);
    await one.close();
    expect(one.stats()).toMatchObject({ stored: 1, io: { stores: 1 } });
  });
});
