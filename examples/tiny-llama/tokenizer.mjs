// @ts-check
/** Byte-pair encoding over the 512 pieces of tok512.bin. */
import { readFile } from 'node:fs/promises';

export const BOS = 1;
/** Tokens 3 to 258 are the 256 single bytes, named `<0x00>` to `<0xFF>`: the way out for text without a piece. */
const FIRST_BYTE = 3;
const BYTE_PIECE = /^<0x([0-9A-F]{2})>$/;

/**
 * @typedef {object} Tokenizer
 * @property {(text: string) => number[]} encode tokens of the text, BOS first
 * @property {(tokens: Iterable<number>) => string} decode text of the tokens; a BOS in front adds nothing
 */

/**
 * @param {string} path
 * @param {number} vocab pieces the file must hold
 * @returns {Promise<Tokenizer>}
 */
export async function loadTokenizer(path, vocab) {
  const { pieces, scores } = parsePieces(await readFile(path), vocab, path);
  const idOf = new Map(pieces.map((piece, id) => [piece.toString('latin1'), id]));
  const bytesOf = pieces.map((piece) => {
    const byte = BYTE_PIECE.exec(piece.toString('latin1'))?.[1];
    return byte === undefined ? piece : Buffer.from(byte, 'hex');
  });

  return {
    encode(text) {
      // Pieces are keyed by their bytes written as latin1, so that a piece may end inside a character.
      const tokens = [...` ${text}`].flatMap((character) => {
        const bytes = Buffer.from(character);
        const id = idOf.get(bytes.toString('latin1'));
        return id === undefined ? Array.from(bytes, (byte) => byte + FIRST_BYTE) : [id];
      });
      while (mergeBest(tokens));
      return [BOS, ...tokens];
    },
    decode(tokens) {
      const ids = [...tokens];
      return Buffer.concat(ids.slice(ids[0] === BOS ? 1 : 0).map((id) => bytesOf[id])).toString();
    },
  };

  /**
   * Joins the neighbours whose union is the best-scored piece.
   *
   * @param {number[]} tokens changed in place
   * @returns {boolean} false when no two neighbours form a piece
   */
  function mergeBest(tokens) {
    let best = -Infinity;
    let bestAt = -1;
    let bestId = -1;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const id = idOf.get(pieces[tokens[i]].toString('latin1') + pieces[tokens[i + 1]].toString('latin1'));
      if (id !== undefined && scores[id] > best) {
        best = scores[id];
        bestAt = i;
        bestId = id;
      }
    }
    if (bestAt < 0) return false;
    tokens.splice(bestAt, 2, bestId);
    return true;
  }
}

/**
 * @param {Buffer} file int32 longest piece, then for each piece float32 score, int32 length, bytes
 * @param {number} vocab
 * @param {string} path
 */
function parsePieces(file, vocab, path) {
  /** @type {Buffer[]} */
  const pieces = [];
  /** @type {number[]} */
  const scores = [];
  let at = 4;
  while (pieces.length < vocab && at + 8 <= file.length) {
    const length = file.readInt32LE(at + 4);
    if (length < 0 || at + 8 + length > file.length) break;
    scores.push(file.readFloatLE(at));
    pieces.push(file.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  if (pieces.length !== vocab || at !== file.length) {
    throw new Error(
      `${path}: not a tokenizer of ${vocab} pieces (${pieces.length} read, ${file.length - at} bytes over)`,
    );
  }
  return { pieces, scores };
}
