/** Writing a prompt's chunks, and saying what became of each. */
import { KVOffloadError } from '../errors.js';
import { HEADER_BYTES, encodeHeaderInto, sumBlockBytes } from '../layout/index.js';
import type { Outcomes } from '../outcomes.js';
import { type Segment, planStores } from '../plan.js';
import { BatchMemory } from './memory.js';
import type { ChunkSet, PromptChunk } from './chunk-set.js';
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

/** Writes the prompt's chunks from `sources`, one each, to the base path of this process. */
export async function storeChunks(
  session: Session,
  prompt: ChunkSet,
  sources: readonly ChunkMemory[],
  signal: AbortSignal | undefined,
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
    );
  }

  const became: Became[] = [];
  const stuck = new Set<number>();
  memory.begin();
  try {
    const write = async (which: readonly number[], replaceAll: boolean) => {
      const outcomes = await submit(session, prompt, given, which, memory, replaceAll, signal);
      for (const [operation, i] of which.entries()) {
        became[i] = interpret(session, prompt, given[i] as Given, outcomes, operation);
        if (outcomes.outcome(operation) === 'stuck') stuck.add(i);
      }
    };
    await write([...given.keys()], false);
    const corrupt = [...given.keys()].filter((i) => became[i]?.replace === true);
    if (corrupt.length > 0) await write(corrupt, true);
  } finally {
    memory.settle((chunk) => stuck.has(chunk));
  }
  return summarise(session, given, became);
}

function submit(
  session: Session,
  prompt: ChunkSet,
  given: readonly Given[],
  which: readonly number[],
  memory: BatchMemory,
  replaceAll: boolean,
  signal: AbortSignal | undefined,
): Promise<Outcomes> {
  const stores = which.map((i) => {
    const { chunk, path, segments } = given[i] as Given;
    const { dtype, shape, format, bytes } = chunk.tensor;
    const sumBlock = session.config.checksums ? sumBlockBytes(bytes) : 0;
    const extras = {
      key: prompt.key(chunk),
      chunkIndex: chunk.index,
      prefix: prompt.digest(chunk),
      ...(sumBlock > 0 && { sumBlock }),
    };
    return {
      path,
      segments,
      sumBlock,
      sync: session.config.sync,
      replace: replaceAll || session.suspects.has(path),
      writeHeader: (headers: Uint8Array, at: number) =>
        encodeHeaderInto(headers, at, { dtype, shape, format, extras }, prompt.generation.header),
    };
  });
  return session.transfer.run(planStores(stores, memory.buffers), signal);
}

function interpret(session: Session, prompt: ChunkSet, given: Given, outcomes: Outcomes, operation: number): Became {
  const { chunk, path } = given;
  const outcome = outcomes.outcome(operation);
  if (outcome === 'done') {
    session.suspects.delete(path);
    return { outcome: 'stored' };
  }
  if (outcome === 'aborted') return { outcome: 'dropped', error: outcomes.error(operation) };
  if (outcome !== 'exists') return { outcome: 'failed', error: outcomes.error(operation) };
  const expected = { path, key: prompt.key(chunk), tensor: chunk.tensor, digest: () => prompt.digest(chunk) };
  const verdict = judge(outcomes.headers, operation, expected);
  const bytes = HEADER_BYTES + chunk.tensor.bytes;
  if (verdict.kind === 'same' && outcomes.bytes(operation) === bytes) return { outcome: 'exists' };
  // Another prompt's chunk, or another model's, has the name: its owner may need it, and this one is not stored.
  if (verdict.kind === 'collision') session.counters.collisions++;
  if (verdict.kind === 'collision' || verdict.kind === 'foreign') return { outcome: 'dropped', error: verdict.error };
  const error =
    verdict.kind === 'corrupt'
      ? verdict.error
      : corrupt(path, `it has ${outcomes.bytes(operation)} bytes, not ${bytes}`);
  return { outcome: 'failed', error, replace: true };
}

function summarise(session: Session, given: readonly Given[], became: readonly Became[]): StoreResult {
  const { counters } = session;
  let present = 0;
  const chunks = given.map(({ chunk }, i): ChunkResult<StoreOutcome> => {
    const { outcome, error } = became[i] as Became;
    if (outcome === 'stored' || outcome === 'exists') present++;
    if (outcome === 'stored') counters.bytesStored += chunk.tensor.bytes;
    counters[outcome === 'failed' ? 'storeFailed' : outcome]++;
    const { index, start, end, tensor } = chunk;
    return { index, start, end, outcome, bytes: tensor.bytes, ...(error && { error }) };
  });
  return { present, chunks };
}
