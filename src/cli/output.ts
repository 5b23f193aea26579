/** What commands print. */
import { once } from 'node:events';
import { reportFailure } from './failure.js';
import { leave } from './interrupt.js';
import { EXIT } from './exit-codes.js';
import { outputError } from './system-errors.js';

/** Ends quietly when nobody reads any more (`| head`), and loudly when output cannot be written. */
export function watchStdout(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    leave(() => {
      const code = error.code === 'EPIPE' ? EXIT.done : reportFailure(outputError('standard output', error), false);
      process.exit(code);
    });
  });
}

/** Prints text or bytes, no faster than they are taken. */
export async function print(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, 'drain');
}

/** Prints one line of JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${JSON.stringify(value)}\n`);
}

/** Lines of cells in columns; `right` are the columns of numbers. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)));
  return rows.map((row) => `${line(row).join('  ').trimEnd()}\n`).join('');
}
