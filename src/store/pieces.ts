/** Large batches in pieces: what the first one answers is judged while the others' bytes still move. */

/** Operations a piece; their headers, 2 MiB, then fit in a processor's cache. */
const PIECE = 512;

/**
 * Runs `work` on the pieces of `indices`, all at once.
 *
 * @param buffers - how many buffers of the caller's the batch names. Each piece would name all of them, so that a batch
 *   of many stays whole.
 * @returns when all pieces have settled, since memory is in use until then
 * @throws what the first piece threw
 */
export async function inPieces(
  indices: readonly number[],
  buffers: number,
  work: (piece: readonly number[]) => Promise<void>,
): Promise<void> {
  if (indices.length <= PIECE || buffers > PIECE) return work(indices);
  const pieces: Promise<void>[] = [];
  for (let at = 0; at < indices.length; at += PIECE) pieces.push(work(indices.slice(at, at + PIECE)));
  const settled = await Promise.allSettled(pieces);
  const failed = settled.find((piece) => piece.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
