/** One cell of the sweep: a chunk size, threads, depth and I/O mode, moved by everyone in turn. */
import { join } from 'node:path';
import type { Prompt } from '../../store/prompt.js';
import type { Cell, CellContext } from './cell-context.js';
import { rowOf } from './cell-row.js';
import { makeCold } from './cold.js';
import { type Contender, emptied } from './contenders.js';
import { linkRatio } from './gpu.js';
import { Latencies, Meters } from './meters.js';
import { Ours, requireAll } from './ours.js';
import { gpuRivals, hostRivals } from './rivals.js';
import type { Row } from './schema.js';
import { inAnyOrder, ratioOf } from './statistics.js';
import { setAside } from './set-aside.js';
import { each, timed } from './timing.js';
import { type Way, type Ways, cacheOf, waysOf } from './ways.js';

/** Parts of a cell's time by whose end each kind of run goes on to the next. */
const UNTIL = { store: 0.35, retrieve: 0.65, cold: 0.75, latency: 0.85, mix: 1 } as const;
/** Of ten operations of the mix, so many retrieve. */
const RETRIEVES_OF_TEN = 7;
const COLD_REPEATS = 3;

/** Steps of progress that a cell takes at most. */
export function stepsOf({ operations, repeats }: Pick<CellContext, 'operations' | 'repeats'>): number {
  const each = repeats + 1;
  const moves = ['store', 'retrieve', 'mix'].filter((operation) => operations.has(operation)).length;
  return Math.max(moves, 1) * each + 1;
}

/** Measures a cell; its rows. */
export async function measureCell(cell: Cell, context: CellContext): Promise<Row[]> {
  const { directory, signal } = context;
  const ours = await Ours.open({ ...cell, directory: join(directory, 'ours'), own: context.own, signal });
  context.opened(ours.engine.transport);
  const ways = waysOf(ours.engine.transport, cell.direct);
  const contenders: Contender[] = [ours];
  try {
    contenders.push(...(context.gpu === undefined ? hostRivals(cell, context) : gpuRivals(cell, ways, context)));
    const rows: Row[] = [];
    // What was stored last is what is retrieved.
    rows.push(...(await inTurn('store', 'none', contenders, ours, ways.store, cell, context)));
    await verified(ours);
    if (context.operations.has('retrieve')) {
      const cache = cacheOf(ways.retrieve);
      rows.push(...(await inTurn('retrieve', cache, contenders, ours, ways.retrieve, cell, context)));
      await verified(ours);
      if (context.cold && cache === 'warm') rows.push(...(await coldReads(contenders, ours, ways, cell, context)));
    }
    await oneByOne(rows, ours, ways, cell, context);
    return rows.filter((row) => context.operations.has(row.operation));
  } finally {
    for (const contender of contenders) contender.close();
    await ours.end();
    const empty = context.gpu === undefined ? emptied : setAside;
    for (const contender of contenders) empty(join(directory, folderOf(contender)));
  }
}

const folderOf = ({ by }: Contender) => (by === 'kv-offload' ? 'ours' : by);

/** What comes back into memory that was cleared is what was stored. */
async function verified(ours: Ours): Promise<void> {
  ours.clear();
  await ours.retrieve();
  ours.verify();
}

type Operation = 'store' | 'retrieve';

async function inTurn(
  operation: Operation,
  cache: Row['cache'],
  all: readonly Contender[],
  ours: Ours,
  way: Way,
  cell: Cell,
  context: CellContext,
  before?: (contender: Contender) => Promise<void>,
): Promise<Row[]> {
  const contenders = all.filter(({ only = operation }) => only === operation);
  const bytes = cell.chunks * cell.preset.chunkBytes;
  const meters = new Meters(ours.engine, context.idleP99);
  const rates = new Map<Contender, number[]>(contenders.map((contender) => [contender, []]));
  let order = contenders;
  ours.takeVias();
  const repeats = before === undefined ? context.repeats : Math.min(context.repeats, COLD_REPEATS);
  for (let repeat = before === undefined ? -1 : 0; repeat < repeats; repeat++) {
    if (repeat > 0 && context.late(UNTIL[cache === 'cold' ? 'cold' : operation])) break;
    order = inAnyOrder(order);
    for (const contender of order) {
      context.signal.throwIfAborted();
      await before?.(contender);
      if (operation === 'store') contender.ready();
      const run = () => contender[operation]();
      const seconds = contender === ours && repeat >= 0 ? await meters.around(bytes, run) : await run();
      if (repeat >= 0) rates.get(contender)?.push(bytes / seconds / 1e9);
    }
    if (repeat < 0) ours.takeVias();
    context.step();
  }
  const own = rates.get(ours) ?? [];
  const ofLink = (values: readonly number[]) => context.gpu && linkRatio(context.gpu.link, operation, values);
  return contenders.map((contender): Row => {
    const values = rates.get(contender) ?? [];
    const row = rowOf(operation, contender.by, cache, cell, way, values);
    const ceiling = ofLink(values);
    if (contender !== ours) return { ...row, ...(ceiling && { ratios: ceiling, verified: true }) };
    const read = meters.read();
    const via = ours.takeVias();
    if (context.gpu && Object.keys(via).some((taken) => !taken.startsWith(way.transport))) {
      context.note(`some chunks of ${row.id} took another way than ${way.transport}: see path.via`);
    }
    const others = contenders.filter((other) => other !== ours);
    return {
      ...row,
      ...read,
      ...(read.path && context.gpu && { path: { ...read.path, via } }),
      bytesInFlight: Math.min(cell.depth, cell.chunks) * cell.preset.chunkBytes,
      verified: true,
      ratios: {
        ...ceiling,
        ...Object.fromEntries(others.map((other) => [other.by, ratioOf(own, rates.get(other) ?? [])])),
      },
    };
  });
}

async function coldReads(
  contenders: readonly Contender[],
  ours: Ours,
  ways: Ways,
  cell: Cell,
  context: CellContext,
): Promise<Row[]> {
  // Peers of Node's own add nothing here: the disk decides.
  const those = contenders.filter(({ by }) => by === 'kv-offload' || by === 'plain-cpp');
  const first = await makeCold(ours.files(), cell.preset.chunkBytes);
  if ('impossible' in first) {
    context.note(`no cold reads: ${first.impossible}`);
    return [];
  }
  const before = async (contender: Contender) => {
    const cold = await makeCold(contender.files(), cell.preset.chunkBytes);
    if ('impossible' in cold) context.note(`a cold read of ${contender.by} was not cold: ${cold.impossible}`);
  };
  const rows = await inTurn('retrieve', 'cold', those, ours, ways.retrieve, cell, context, before);
  return rows.map((row) => ({ ...row, coldBy: first.by }));
}

/**
 * Single-chunk calls: the latency of each, where none waits for a thread; and the mix of 70% retrieves and 30% stores,
 * `depth` of them at a time.
 */
async function oneByOne(rows: Row[], ours: Ours, ways: Ways, cell: Cell, context: CellContext): Promise<void> {
  const { chunks, depth, preset } = cell;
  const served = Math.min(depth, cell.threads);
  const { engine } = ours;
  let made = 0;
  const promptsOf = (count: number) =>
    Array.from({ length: count }, () => {
      const first = 2 ** 31 + preset.chunkTokens * made++;
      return engine.prepare(Uint32Array.from({ length: preset.chunkTokens }, (_, i) => first + i));
    });
  const store = async (prompt: Prompt, slot: number) => {
    requireAll('stored', (await engine.store(prompt, ours.slots.slice(slot, slot + 1), context)).chunks);
  };
  const retrieve = async (prompt: Prompt, slot: number) => {
    requireAll('hit', (await engine.retrieve(prompt, ours.slots.slice(slot, slot + 1), context)).chunks);
  };
  const own = (operation: Row['operation'], cache: Row['cache']) =>
    rows.find((row) => row.by === 'kv-offload' && row.operation === operation && row.cache === cache);

  ours.fill();
  const prompts = promptsOf(chunks);
  const stored = new Latencies();
  const got = new Latencies();
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    if (repeat > 0 && context.late(UNTIL.latency)) break;
    ours.emptied();
    await each(chunks, served, (i) => stored.time(() => store(prompts[i] as Prompt, i)));
    await each(chunks, served, (i) => got.time(() => retrieve(prompts[i] as Prompt, i)));
    context.signal.throwIfAborted();
  }
  Object.assign(own('store', 'none') ?? {}, { latency: stored.read() });
  Object.assign(own('retrieve', cacheOf(ways.retrieve)) ?? {}, { latency: got.read() });
  context.step();

  if (!context.operations.has('mix')) return;
  const bytes = chunks * preset.chunkBytes;
  const meters = new Meters(engine, context.idleP99);
  const latencies = new Latencies();
  const values: number[] = [];
  for (let repeat = -1; repeat < context.repeats; repeat++) {
    if (repeat > 0 && context.late(UNTIL.mix)) break;
    const fresh = promptsOf(Math.ceil((chunks * (10 - RETRIEVES_OF_TEN)) / 10));
    const one = async (i: number) => {
      // 7, 3, 7 … by tenths, spread evenly: i × 7 mod 10 < 7 takes seven of ten in a row.
      const another = (i * RETRIEVES_OF_TEN) % 10 < RETRIEVES_OF_TEN ? undefined : fresh.pop();
      const call = () => (another === undefined ? retrieve(prompts[i] as Prompt, i) : store(another, i));
      await (repeat < 0 ? call() : latencies.time(call));
    };
    const pass = () => timed(() => each(chunks, depth, one));
    const seconds = await (repeat < 0 ? pass() : meters.around(bytes, pass));
    if (repeat >= 0) values.push(bytes / seconds / 1e9);
    context.signal.throwIfAborted();
    context.step();
  }
  const bytesInFlight = Math.min(depth, chunks) * preset.chunkBytes;
  rows.push({
    ...rowOf('mix', 'kv-offload', cacheOf(ways.mix), cell, ways.mix, values),
    ...meters.read(),
    latency: latencies.read(),
    bytesInFlight,
    details: { retrieves: RETRIEVES_OF_TEN / 10 },
  });
}
