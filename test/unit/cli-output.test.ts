/** What the command line tells: exit codes, tables, progress. */
import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-codes.js';
import { table } from '../../src/cli/output.js';
import { Progress } from '../../src/cli/progress.js';
import { ERROR_CODES, type ErrorCode } from '../../src/errors.js';

describe('exit codes', () => {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];

  it('are 3 for a miss alone, and never 0', () => {
    expect(codes.filter((code) => exitCodeOf(code) === 3)).toEqual(['KVO_NOT_FOUND']);
    expect(codes.filter((code) => ![1, 2, 3].includes(exitCodeOf(code)))).toEqual([]);
  });

  it('are 2 for what the user gave, and 1 for what went wrong', () => {
    for (const code of codes.filter((one) => /^KVO_(CONFIG|KEY|TOKENS|ARGUMENT|DTYPE|SHAPE)_/.test(one))) {
      expect([code, exitCodeOf(code)]).toEqual([code, 2]);
    }
    for (const code of [
      'KVO_IO',
      'KVO_NO_SPACE',
      'KVO_CHUNK_CORRUPT',
      'KVO_READ_ONLY',
      'KVO_NATIVE_MISSING',
    ] as const) {
      expect([code, exitCodeOf(code)]).toEqual([code, 1]);
    }
  });
});

describe('table', () => {
  it('aligns columns, numbers to the right, and leaves no blanks at ends of lines', () => {
    expect(
      table(
        [
          ['name', 'n', ''],
          ['a', '10', 'x'],
          ['long name', '9', ''],
        ],
        [1],
      ),
    ).toBe('name        n\na          10  x\nlong name   9\n');
  });
});

describe('Progress', () => {
  const target = (isTTY: boolean) => {
    const written: string[] = [];
    return { written, isTTY, write: (text: string) => written.push(text) };
  };

  it('draws nothing in a pipe', () => {
    let now = 0;
    const pipe = target(false);
    const progress = new Progress('reading', 100, pipe, () => now);
    now = 10_000;
    progress.advance(50);
    progress.end();
    expect(pipe.written).toEqual([]);
  });

  it('draws on a terminal what takes a while, and takes it away', () => {
    let now = 0;
    const terminal = target(true);
    const progress = new Progress('reading', 100, terminal, () => now);
    progress.advance(10);
    expect(terminal.written).toEqual([]);
    now = 1000;
    progress.advance(40);
    progress.advance(1); // too soon to be drawn
    now = 2000;
    progress.advance(999);
    progress.end();
    progress.end();
    expect(terminal.written).toEqual([
      `\r\x1b[Kreading [${'#'.repeat(15)}${'.'.repeat(15)}] 50%, 1 s left`,
      `\r\x1b[Kreading [${'#'.repeat(30)}]100%, 0 s left`,
      '\r\x1b[K',
    ]);
  });

  it('leaves alone the line of what was over soon', () => {
    const terminal = target(true);
    const progress = new Progress('reading', 1, terminal, () => 0);
    progress.advance(1);
    progress.end();
    expect(terminal.written).toEqual([]);
  });
});
