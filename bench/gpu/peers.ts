/** Rows of LMCache, KvikIO and NIXL. */
import { type PEERS, runPeer } from '../../src/cli/bench/gpu-peers.js';
import { type Row, size } from './rows.js';

/** A peer's rows; that it cannot run here is said. */
export async function benchPeer(
  python: string,
  { peer, threads }: (typeof PEERS)[number],
  shape: Pick<Row, 'on' | 'chunkBytes' | 'chunks'> & { readonly directory: string },
  repeats: number,
  ceiling: number,
  add: (rows: readonly Row[]) => void,
  note: (text: string) => void,
): Promise<void> {
  const { directory, on, chunkBytes, chunks } = shape;
  for (const answer of await runPeer(python, { peer, threads, directory, bytes: chunkBytes, files: chunks, repeats })) {
    if (!('what' in answer)) {
      note(`SKIPPED ${peer}, ${threads} threads, ${size(chunkBytes)}: ${answer.skipped ?? answer.failed ?? '?'}`);
      continue;
    }
    const { best, median, cpu, us, what } = answer;
    const verified = answer.verified === true;
    add([
      {
        ...{ what, who: peer, on, chunkBytes, chunks, threads, verified },
        ...(answer.note !== undefined && { note: answer.note }),
        ours: { best, median, cpu, us },
        ...(what === 'load' && { ceiling, ofCeiling: median / ceiling }),
      },
    ]);
  }
}
