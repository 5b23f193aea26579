/** Writing a prompt's chunks, and saying what became of each. */
import { KVOffloadError } from '../errors.js';
import { HEADER_BYTES, sumBlockBytes } from '../layout/index.js';
import type { Outcomes, Via } from '../outcomes.js';
import { type Segment, type Wait, planStores } from '../plan.js';
import { BatchMemory } from './memory.js';
import type { ChunkSet, PromptChunk } from './chunk-set.js';
import { OwnHeaders } from './own-headers.js';
import { inPieces } from './pieces.js';
import type { Session } from './session.js';
import type { ChunkMemory, ChunkResult, StoreOutcome, StoreResult } from './types.js';
import { corrupt, judge } from './verify.js';

interface Given {
  readonly chunk: PromptChunk;
  readonly path: string;
  readonly segments: readonly Segment[];
}

interface Became {
  readonly outcome: StoreOutcome;
  readonly error?: KVOffloadError;
  /** A corrupt file has the chunk's name: it can be replaced. */
  readonly replace?: true;
}

const STORED: Became = { outcome: 'stored' };
const EXISTS: Became = { outcome: 'exists' };

/** Writes the prompt's chunks from `sources`, one each, to the base path of this process. */
export async function storeChunks(
  session: Session,
  prompt: ChunkSet,
  sources: readonly ChunkMemory[],
  signal: AbortSignal | undefined,
  wait: Wait | undefined,
): Promise<StoreResult> {
  const memory = new BatchMemory(session.transfer);
  const paths = prompt.paths(session.writeBase);
  const given = prompt.chunks.slice(0, sources.length).map((chunk, i): Given => {
    return { chunk, path: paths[i] ?? '', segments: memory.resolve(i, sources[i] ?? [], chunk.tensor.bytes) };
  });
  const reason = session.model.storesNothing;
  if (reason !== undefined) {
    const error = new KVOffloadError('KVO_NOT_FIRST_RANK', reason);
    return summarise(
      session,
      given,
      given.map(() => ({ outcome: 'dropped', error })),
      [],
    );
  }

  const became: Became[] = [];
  const vias: Via[] = [];
  const stuck = new Set<number>();
  memory.begin();
  try {
    const own = new OwnHeaders(prompt);
    const write = async (which: readonly number[], replaceAll: boolean) => {
      const outcomes = await submit(session, own, given, which, memory, replaceAll, signal, wait);
      const { headers } = outcomes;
      for (const [operation, i] of which.entries()) {
        became[i] = interpret(session, prompt, own, given[i] as Given, outcomes, headers, operation);
        if (outcomes.outcome(operation) === 'stuck') stuck.add(i);
        vias[i] = became[i] === STORED ? outcomes.via(operation) : 'nothing';
      }
      outcomes.release();
    };
    const all = given.map((_, i) => i);
    await inPieces(all, memory.buffers.length, (piece) => write(piece, false));
    const corrupt = all.filter((i) => became[i]?.replace === true);
    if (corrupt.length > 0) await write(corrupt, true);
  } finally {
    memory.settle((chunk) => stuck.has(chunk));
  }
  return summarise(session, given, became, vias);
}

function submit(
  session: Session,
  own: OwnHeaders,
  given: readonly Given[],
  which: readonly number[],
  memory: BatchMemory,
  replaceAll: boolean,
  signal: AbortSignal | undefined,
  wait: Wait | undefined,
): Promise<Outcomes> {
  const { checksums, sync } = session.config;
  const gds = session.routes[session.writeBase]?.writes === 'gds';
  const stores = which.map((i) => {
    const { chunk, path, segments } = given[i] as Given;
    return {
      path,
      segments,
      sumBlock: checksums ? sumBlockBytes(chunk.tensor.bytes) : 0,
      sync,
      gds,
      replace: replaceAll || session.suspects.has(path),
      writeHeader: (headers: Buffer, at: number) => own.write(headers, at, chunk, checksums),
    };
  });
  return session.transfer.run(planStores(stores, memory.buffers, wait), signal);
}

function interpret(
  session: Session,
  prompt: ChunkSet,
  own: OwnHeaders,
  given: Given,
  outcomes: Outcomes,
  headers: Buffer,
  operation: number,
): Became {
  const { chunk, path } = given;
  const outcome = outcomes.outcome(operation);
  if (outcome === 'done') {
    session.suspects.delete(path);
    return STORED;
  }
  if (outcome === 'aborted') return { outcome: 'dropped', error: outcomes.error(operation) };
  if (outcome !== 'exists') return { outcome: 'failed', error: outcomes.error(operation) };
  const bytes = HEADER_BYTES + chunk.tensor.bytes;
  const sized = outcomes.bytes(operation) === bytes;
  if (sized && own.recognise(headers, operation, chunk, undefined) !== undefined) return EXISTS;
  const expected = { path, key: prompt.key(chunk), tensor: chunk.tensor, digest: () => prompt.digest(chunk) };
  const verdict = judge(outcomes.headers, operation, expected);
  if (verdict.kind === 'same' && sized) return EXISTS;
  // Another prompt's chunk, or another model's, has the name: its owner may need it, and this one is not stored.
  if (verdict.kind === 'collision') session.counters.collisions++;
  if (verdict.kind === 'collision' || verdict.kind === 'foreign') return { outcome: 'dropped', error: verdict.error };
  const error =
    verdict.kind === 'corrupt'
      ? verdict.error
      : corrupt(path, `it has ${outcomes.bytes(operation)} bytes, not ${bytes}`);
  return { outcome: 'failed', error, replace: true };
}

function summarise(
  session: Session,
  given: readonly Given[],
  became: readonly Became[],
  vias: readonly Via[],
): StoreResult {
  const { counters } = session;
  let present = 0;
  const chunks = given.map(({ chunk }, i): ChunkResult<StoreOutcome> => {
    const { outcome, error } = became[i] as Became;
    if (outcome === 'stored' || outcome === 'exists') present++;
    if (outcome === 'stored') counters.bytesStored += chunk.tensor.bytes;
    counters[outcome === 'failed' ? 'storeFailed' : outcome]++;
    const { index, start, end, tensor } = chunk;
    const result = { index, start, end, outcome, bytes: tensor.bytes, via: vias[i] ?? 'nothing' };
    return error === undefined ? result : { ...result, error };
  });
  return { present, chunks };
}
