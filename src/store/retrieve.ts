/** Reading a prompt's chunks, and judging what was read. */
import type { KVOffloadError } from '../errors.js';
import type { Outcomes } from '../outcomes.js';
import { type Segment, planLoads } from '../plan.js';
import { BatchMemory } from './memory.js';
import type { ChunkSet, PromptChunk } from './chunk-set.js';
import { OwnHeaders } from './own-headers.js';
import { inPieces } from './pieces.js';
import { type Session, SumReader, readOrder } from './session.js';
import type { ChunkMemory, RetrieveOutcome, RetrieveResult, RetrievedChunk } from './types.js';
import { compareSums, corrupt, judge } from './verify.js';

/** One chunk on its way. */
interface Wanted {
  readonly chunk: PromptChunk;
  readonly segments: readonly Segment[];
}

interface Judged {
  readonly outcome: RetrieveOutcome;
  readonly verified: boolean;
  readonly error?: KVOffloadError;
}

const MISS: Judged = { outcome: 'miss', verified: false };
const HIT: Judged = { outcome: 'hit', verified: false };
const VERIFIED: Judged = { outcome: 'hit', verified: true };

/** Reads the prompt's first `targets.length` chunks into them, from whichever base path has each. */
export async function retrieve(
  session: Session,
  prompt: ChunkSet,
  targets: readonly ChunkMemory[],
  signal: AbortSignal | undefined,
): Promise<RetrieveResult> {
  const memory = new BatchMemory(session.transfer);
  const wanted = prompt.chunks.slice(0, targets.length).map((chunk, i): Wanted => {
    return { chunk, segments: memory.resolve(i, targets[i] ?? [], chunk.tensor.bytes) };
  });
  const judged: Judged[] = wanted.map(() => MISS);
  const stuck = new Set<number>();
  const own = new OwnHeaders(prompt);
  memory.begin();
  try {
    let missing = [...wanted.keys()];
    for (const base of readOrder(session)) {
      if (missing.length === 0) break;
      await inPieces(missing, memory.buffers.length, async (piece) => {
        const loaded = await load(session, prompt, base, wanted, piece, memory, own, signal);
        for (const [at, i] of piece.entries()) {
          const verdict = loaded.judged[at] ?? MISS;
          // What the first base said stands, unless another has the chunk: its file there may be sound.
          if (verdict.outcome === 'hit' || judged[i] === MISS) judged[i] = verdict;
          if (loaded.outcomes.outcome(at) === 'stuck') stuck.add(i);
        }
      });
      missing = missing.filter((i) => judged[i]?.outcome !== 'hit' && !stuck.has(i));
    }
  } finally {
    memory.settle((chunk) => stuck.has(chunk));
  }
  return summarise(session, prompt, wanted, judged);
}

/** Some of the chunks still missing, below one base path. */
async function load(
  session: Session,
  prompt: ChunkSet,
  base: number,
  wanted: readonly Wanted[],
  missing: readonly number[],
  memory: BatchMemory,
  own: OwnHeaders,
  signal: AbortSignal | undefined,
): Promise<{ readonly outcomes: Outcomes; readonly judged: readonly Judged[] }> {
  const paths = prompt.paths(base);
  const sums = session.config.checksums;
  const loads = missing.map((i) => ({ path: paths[i] ?? '', segments: wanted[i]?.segments ?? [], sums }));
  const outcomes = await session.transfer.run(planLoads(loads, memory.buffers), signal);
  const reader = new SumReader(outcomes.sums);
  const headers = Buffer.from(outcomes.headers.buffer, outcomes.headers.byteOffset, outcomes.headers.length);
  const judged = missing.map((i, operation) => {
    const { chunk } = wanted[i] as Wanted;
    if (sums) reader.next(chunk.tensor.bytes);
    // As a rule the header is the one that we write: what it says need not be taken apart.
    if (outcomes.outcome(operation) === 'done') {
      const same = own.recognise(headers, operation, chunk, sums ? reader.digits : undefined);
      if (same !== undefined) return same === 'verified' ? VERIFIED : HIT;
    }
    return judgeLoad(session, prompt, chunk, paths[i] ?? '', outcomes, operation, sums ? reader.sums : undefined);
  });
  return { outcomes, judged };
}

function judgeLoad(
  session: Session,
  prompt: ChunkSet,
  chunk: PromptChunk,
  path: string,
  outcomes: Outcomes,
  operation: number,
  sums: BigUint64Array | undefined,
): Judged {
  const outcome = outcomes.outcome(operation);
  if (outcome === 'absent') return MISS;
  if (outcome !== 'done' && outcome !== 'size-mismatch') {
    return { outcome: 'failed', verified: false, error: outcomes.error(operation) };
  }
  const bad = (error: KVOffloadError): Judged => {
    session.suspects.add(path);
    return { outcome: 'corrupt', verified: false, error };
  };
  const expected = { path, key: prompt.key(chunk), tensor: chunk.tensor, digest: () => prompt.digest(chunk) };
  const verdict = judge(outcomes.headers, operation, expected);
  if (verdict.kind === 'collision') {
    session.counters.collisions++;
    return { outcome: 'miss', verified: false, error: verdict.error };
  }
  if (verdict.kind === 'foreign') return { outcome: 'corrupt', verified: false, error: verdict.error };
  if (verdict.kind !== 'same') return bad(verdict.error);
  if (outcome === 'size-mismatch') {
    return bad(corrupt(path, `it has ${outcomes.bytes(operation)} bytes, not what its header says`));
  }
  const compared = sums === undefined ? undefined : compareSums(path, verdict.header, sums);
  if (compared !== true && compared !== undefined) return bad(compared);
  return compared === true ? VERIFIED : HIT;
}

function summarise(
  session: Session,
  prompt: ChunkSet,
  wanted: readonly Wanted[],
  judged: readonly Judged[],
): RetrieveResult {
  const { counters } = session;
  let tokens = prompt.skipTokens;
  let usable = true;
  const chunks = wanted.map(({ chunk }, i): RetrievedChunk => {
    const { outcome, verified, error } = judged[i] ?? MISS;
    usable &&= outcome === 'hit';
    if (usable) tokens = chunk.end;
    if (outcome === 'hit') {
      counters.hits++;
      counters.bytesRetrieved += chunk.tensor.bytes;
      if (!verified) counters.unverified++;
    } else if (outcome === 'miss') counters.misses++;
    else if (outcome === 'corrupt') counters.corrupt++;
    else counters.retrieveFailed++;
    const { index, start, end, tensor } = chunk;
    const result = { index, start, end, outcome, verified, bytes: tensor.bytes };
    return error === undefined ? result : { ...result, error };
  });
  return { tokens, chunks };
}
