/** The difference between two texts, line by line. */

/** Past this the middle is shown as replaced: a configuration file is far smaller. */
const MOST_CELLS = 4_000_000;
const CONTEXT = 3;

type Line = readonly [mark: ' ' | '-' | '+', text: string];

/** A unified diff; an empty text where there is no difference. */
export function lineDiff(before: string, after: string, beforeName: string, afterName: string): string {
  if (before === after) return '';
  const lines = compare(linesOf(before), linesOf(after));
  const shown = lines.map((_, i) =>
    lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(([mark]) => mark !== ' '),
  );
  let out = `--- ${beforeName}\n+++ ${afterName}\n`;
  const at = { '-': 1, '+': 1 };
  for (let i = 0; i < lines.length;) {
    const end = shown.indexOf(!shown[i], i);
    const hunk = lines.slice(i, end < 0 ? lines.length : end);
    const count = (other: '-' | '+') => hunk.filter(([mark]) => mark !== other).length;
    const [removed, added] = [count('+'), count('-')];
    if (shown[i]) {
      out += `@@ -${at['-']},${removed} +${at['+']},${added} @@\n`;
      out += hunk.map(([mark, text]) => `${mark}${text}\n`).join('');
    }
    at['-'] += removed;
    at['+'] += added;
    i += hunk.length;
  }
  return out;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function compare(before: readonly string[], after: readonly string[]): Line[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail))
    tail++;
  const same = (lines: readonly string[]): Line[] => lines.map((text) => [' ', text]);
  return [
    ...same(before.slice(0, head)),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** By the longest common subsequence. */
function middle(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  if (before.length * after.length <= MOST_CELLS) {
    const common = new Uint32Array((before.length + 1) * width);
    const at = (row: number, column: number) => common[row * width + column] ?? 0;
    for (let row = before.length - 1; row >= 0; row--) {
      for (let column = after.length - 1; column >= 0; column--) {
        common[row * width + column] =
          before[row] === after[column]
            ? at(row + 1, column + 1) + 1
            : Math.max(at(row + 1, column), at(row, column + 1));
      }
    }
    while (i < before.length && j < after.length) {
      if (before[i] === after[j]) {
        lines.push([' ', before[i++] ?? '']);
        j++;
      } else if (at(i + 1, j) >= at(i, j + 1)) lines.push(['-', before[i++] ?? '']);
      else lines.push(['+', after[j++] ?? '']);
    }
  }
  for (; i < before.length; i++) lines.push(['-', before[i] ?? '']);
  for (; j < after.length; j++) lines.push(['+', after[j] ?? '']);
  return lines;
}
