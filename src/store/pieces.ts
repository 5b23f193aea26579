/** Large batches in pieces: what one answers is judged while the bytes of those after it still move. */

/** Operations of the first piece: few, so that threads have work while the others are planned. Each next has twice as many … */
const FIRST = 64;
/** … up to so many: their headers, 2 MiB, still fit in a processor's cache; and up to half of what is left, so that little
 * is to be judged after the last byte. */
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
  if (indices.length <= FIRST || buffers > PIECE) return work(indices);
  const pieces: Promise<void>[] = [];
  let size = FIRST;
  for (let at = 0; at < indices.length; at += size) {
    const half = Math.ceil((indices.length - at) / 2);
    if (at > 0) size = Math.min(size * 2, PIECE, Math.max(half, FIRST));
    pieces.push(work(indices.slice(at, at + size)));
  }
  const settled = await Promise.allSettled(pieces);
  const failed = settled.find((piece) => piece.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
