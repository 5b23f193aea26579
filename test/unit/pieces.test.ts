import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inPieces } from '../../src/store/pieces.js';

const indices = (count: number) => [...Array(count).keys()];

/** The pieces that such a batch is run in. */
async function piecesOf(count: number, buffers = 0): Promise<number[][]> {
  const seen: number[][] = [];
  await inPieces(indices(count), buffers, (piece) => {
    seen.push([...piece]);
    return Promise.resolve();
  });
  return seen;
}

describe('a batch', () => {
  it.each([0, 1, 64])('of %d operations stays whole', async (count) => {
    expect(await piecesOf(count)).toEqual([indices(count)]);
  });

  it('of more is cut, in order, nothing twice', async () => {
    const pieces = await piecesOf(1300);
    expect(pieces.map((piece) => piece.length)).toEqual([64, 128, 256, 426, 213, 107, 64, 42]);
    expect(pieces.flat()).toEqual(indices(1300));
  });

  it('of very many has none that is too large', async () => {
    const pieces = await piecesOf(4096);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBe(512);
    expect(pieces.flat()).toEqual(indices(4096));
  });

  it('that names many buffers of the caller’s stays whole', async () => {
    expect(await piecesOf(1300, 1300)).toHaveLength(1);
  });

  it('of which one piece fails settles after all of them, with that error', async () => {
    const ended: number[] = [];
    const work = async (piece: readonly number[]) => {
      const [first = 0] = piece;
      if (first === 0) throw new Error('the first');
      await setTimeout(first / 100);
      ended.push(first);
    };
    await expect(inPieces(indices(1300), 0, work)).rejects.toThrow('the first');
    expect(ended).toEqual([64, 192, 448, 874, 1087, 1194, 1258]);
  });
});
