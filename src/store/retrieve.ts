/** Reading a prompt's chunks, and judging what was read. */
import type { KVOffloadError } from '../errors.js';
import type { Outcomes, Via } from '../outcomes.js';
import { type Segment, type Wait, planLoads } from '../plan.js';
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
  wait: Wait | undefined,
): Promise<RetrieveResult> {
  const memory = new BatchMemory(session.transfer);
  const wanted = prompt.chunks.slice(0, targets.length).map((chunk, i): Wanted => {
    return { chunk, segments: memory.resolve(i, targets[i] ?? [], chunk.tensor.bytes) };
  });
  const chunks: RetrievedChunk[] = [];
  const stuck = new Set<number>();
  const own = new OwnHeaders(prompt);
  memory.begin();
  try {
    let missing = wanted.map((_, i) => i);
    for (const base of readOrder(session)) {
      if (missing.length === 0) break;
      // What a piece's chunks became is told while the bytes of others still move.
      const moving = inPieces(missing, memory.buffers.length, async (piece) => {
        const { judged, outcomes } = await load(session, prompt, base, wanted, piece, memory, own, signal, wait);
        for (const [at, i] of piece.entries()) {
          const verdict = judged[at] ?? MISS;
          const before = chunks[i];
          // What the first base said stands, unless another has the chunk: its file there may be sound.
          const silent = before === undefined || (before.outcome === 'miss' && before.error === undefined);
          if (verdict.outcome === 'hit' || silent) {
            chunks[i] = tell(wanted[i] as Wanted, verdict, verdict.outcome === 'hit' ? outcomes.via(at) : 'nothing');
          }
          if (outcomes.outcome(at) === 'stuck') stuck.add(i);
        }
      });
      try {
        own.foresee(missing.map((i) => (wanted[i] as Wanted).chunk));
      } finally {
        await moving;
      }
      missing = missing.filter((i) => chunks[i]?.outcome !== 'hit' && !stuck.has(i));
    }
  } finally {
    memory.settle((chunk) => stuck.has(chunk));
  }
  return summarise(session, prompt, chunks);
}

function tell({ chunk }: Wanted, { outcome, verified, error }: Judged, via: Via): RetrievedChunk {
  const { index, start, end, tensor } = chunk;
  const told = { index, start, end, outcome, verified, bytes: tensor.bytes, via };
  return error === undefined ? told : { ...told, error };
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
  wait: Wait | undefined,
): Promise<{ readonly outcomes: Outcomes; readonly judged: readonly Judged[] }> {
  const paths = prompt.paths(base);
  const sums = session.config.checksums;
  const gds = session.routes[base]?.reads === 'gds';
  const loads = missing.map((i) => ({ path: paths[i] ?? '', segments: wanted[i]?.segments ?? [], sums, gds }));
  const outcomes = await session.transfer.run(planLoads(loads, memory.buffers, wait), signal);
  const reader = new SumReader(outcomes.sums);
  const { headers } = outcomes;
  const judged = missing.map((i, operation) => {
    const { chunk } = wanted[i] as Wanted;
    if (sums) reader.next(chunk.tensor.bytes);
    // As a rule the header is the one that we write: what it says need not be taken apart.
    if (outcomes.outcome(operation) === 'done') {
      const same = own.recognise(
        headers,
        operation,
        chunk,
        sums ? reader.digits : undefined,
        outcomes.headerEnd(operation),
      );
      if (same !== undefined) return same === 'verified' ? VERIFIED : HIT;
    }
    return judgeLoad(session, prompt, chunk, paths[i] ?? '', outcomes, operation, sums ? reader.sums : undefined);
  });
  outcomes.release();
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

function summarise({ counters }: Session, prompt: ChunkSet, chunks: readonly RetrievedChunk[]): RetrieveResult {
  let tokens = prompt.skipTokens;
  let usable = true;
  for (const { outcome, verified, bytes, end } of chunks) {
    usable &&= outcome === 'hit';
    if (usable) tokens = end;
    if (outcome === 'hit') {
      counters.hits++;
      counters.bytesRetrieved += bytes;
      if (!verified) counters.unverified++;
    } else if (outcome === 'miss') counters.misses++;
    else if (outcome === 'corrupt') counters.corrupt++;
    else counters.retrieveFailed++;
  }
  return { tokens, chunks };
}
