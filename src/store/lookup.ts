/** How much of a prompt is cached. */
import { HEADER_BYTES } from '../layout/index.js';
import type { Outcomes } from '../outcomes.js';
import type { PromptChunk } from './chunk-set.js';
import type { Prompt } from './prompt.js';
import type { Session } from './session.js';

/**
 * The longest cached prefix in tokens, the skipped ones included. Asks the filesystem in one batch, each time: other
 * processes add and remove chunks. A file of the right name and size counts, of every layer where each has its own; what
 * is in it is seen by retrieve.
 */
export async function lookup(session: Session, prompt: Prompt, signal: AbortSignal | undefined): Promise<number> {
  const { counters, transfer } = session;
  const chunks = prompt.sets[0]?.chunks ?? [];
  counters.lookups++;
  if (chunks.length === 0) return prompt.skipTokens;
  const outcomes = await transfer.run(prompt.existsPlan(), signal);
  const round = session.bases.length * chunks.length;
  let tokens = prompt.skipTokens;
  counters.lookedUp += chunks.length;
  for (const [i, chunk] of chunks.entries()) {
    let inAll = true;
    for (let at = i; inAll && at < outcomes.count; at += round) {
      inAll = inAnyBase(outcomes, chunk, at, at - i + round, chunks.length);
    }
    if (!inAll) break;
    counters.found++;
    tokens = chunk.end;
  }
  const hit = tokens - prompt.skipTokens;
  return hit > 0 && hit >= session.config.minRetrieveTokens ? tokens : prompt.skipTokens;
}

/** A base path that does not answer matters only where no other has the chunk. */
function inAnyBase(outcomes: Outcomes, chunk: PromptChunk, from: number, to: number, step: number): boolean {
  const bytes = HEADER_BYTES + chunk.tensor.bytes;
  let unanswered: number | undefined;
  for (let at = from; at < to; at += step) {
    const outcome = outcomes.outcome(at);
    if (outcome === 'done' && outcomes.bytes(at) === bytes) return true;
    if (outcome !== 'done' && outcome !== 'absent') unanswered ??= at;
  }
  if (unanswered !== undefined) throw outcomes.error(unanswered);
  return false;
}
