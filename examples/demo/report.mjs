// @ts-check
/** The demo's words: at most 100 columns. */

const COLUMNS = 100;

/** @param {number} value */
export const count = (value) => value.toLocaleString('en');
/** @param {number} ms */
export const time = (ms) =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
/** @param {number} bytes */
export const size = (bytes) =>
  bytes < 2 ** 20 ? `${count(Math.round(bytes / 2 ** 10))} KiB` : `${count(Math.round(bytes / 2 ** 20))} MiB`;

/**
 * Breaks a paragraph into lines, all indented as the first is; a line feed in front stays.
 *
 * @param {string} text
 */
export function paragraph(text) {
  const [, gap, indent] = /** @type {RegExpExecArray} */ (/^(\n*)( *)/.exec(text));
  /** @type {string[]} */
  const lines = [];
  for (const word of text.trim().split(/\s+/)) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= COLUMNS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(indent + word);
  }
  return `${gap}${lines.join('\n')}\n`;
}

/**
 * @typedef {import('./cache.mjs').Transfer & { part: string, pid: number, gbPerSecond: number }} Row
 */

/**
 * @param {readonly Row[]} rows
 */
export function table(rows) {
  const head = ['', 'step', 'process', 'tokens', 'chunks', 'bytes', 'time', 'GB/s', 'transport', 'path'];
  const cells = rows.map((row) => [
    row.part,
    row.step,
    String(row.pid),
    count(row.tokens),
    String(row.chunks),
    count(row.bytes),
    time(row.ms),
    row.gbPerSecond.toFixed(2),
    row.transport,
    row.path,
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i].length)));
  // Numbers stand to the right.
  const isNumber = head.map((title) => !['', 'step', 'transport', 'path'].includes(title));
  return [head, ...cells]
    .map((line) =>
      `  ${line.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')}`.trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
