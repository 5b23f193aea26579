/** Into which blocks a payload is divided for its sums, and how sums are spelled in a header. */

/** XXH3-64 in hex. */
export const SUM_DIGITS = 16;
/** A header has room for so many. */
const MOST_SUMS = 64;
const SMALLEST_BLOCK = 4 * 2 ** 20;
const LARGEST_BLOCK = 2 ** 31;

/** Bytes of payload that one sum covers: 4 MiB, doubled until 64 blocks or fewer cover the payload. */
export function sumBlockBytes(payloadBytes: number): number {
  let block = SMALLEST_BLOCK;
  while (block * MOST_SUMS < payloadBytes) block *= 2;
  return block;
}

/** How many sums a payload has. */
export function sumCount(payloadBytes: number, blockBytes: number): number {
  return Math.ceil(payloadBytes / blockBytes);
}

/** True for a block size that a writer of this format may have used for such a payload. */
export function isSumBlock(blockBytes: number, payloadBytes: number): boolean {
  return (
    blockBytes >= SMALLEST_BLOCK &&
    blockBytes <= LARGEST_BLOCK &&
    Number.isInteger(Math.log2(blockBytes)) &&
    sumCount(payloadBytes, blockBytes) <= MOST_SUMS
  );
}

/** Sums as a header spells them: 16 lowercase hex digits each, the most significant first. */
export function spellSums(sums: BigUint64Array): string {
  const bytes = Buffer.copyBytesFrom(sums);
  // Little-endian, as every platform of ours.
  return bytes.swap64().toString('hex');
}

/** The sums of such a text, or undefined where it is not the text of `count` sums. */
export function readSums(text: string, count: number): BigUint64Array | undefined {
  if (text.length !== count * SUM_DIGITS || !/^[0-9a-f]*$/.test(text)) return undefined;
  const sums = new BigUint64Array(count);
  const bytes = Buffer.from(sums.buffer);
  bytes.write(text, 'hex');
  // Little-endian, as every platform of ours.
  bytes.swap64();
  return sums;
}
