/** A doctor's report as people read it: at most 100 columns wide. */
import { styleText } from 'node:util';
import type { Check, CheckStatus, DoctorReport } from '../readiness/index.js';

const WIDTH = 100;
/** Where what was seen begins, behind status and id; and what is told of it. */
const INDENT = 26;
const DETAIL = 11;
const NAME = 7;

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red', unknown: 'cyan' } as const satisfies Record<
  CheckStatus,
  string
>;

const TRANSPORTS: Readonly<Record<DoctorReport['transport'], string>> = {
  host: 'host memory (kv_offload.device is cpu)',
  staged: 'GPU memory, through pinned host memory',
  auto: 'GPU memory, by GPUDirect Storage where it works',
  cufile: 'GPU memory by cuFile, in its compatibility mode where it must',
  gds: 'GPUDirect Storage, and nothing else',
};

/** What happens without GPUDirect Storage, where it is not needed. */
const INSTEAD: Readonly<Partial<Record<DoctorReport['transport'], string>>> = {
  host: ' Host memory works without it.',
  auto: ' Bytes go through pinned host memory instead.',
  cufile: ' cuFile goes through host memory instead.',
};

/** @param colours - for a terminal that has them */
export function reportText(report: DoctorReport, colours: boolean): string {
  const paint = (colour: Parameters<typeof styleText>[0], text: string) => (colours ? styleText(colour, text) : text);
  const { ready, reason, transport, paths, gds, checks } = report;
  const needed = checks.filter((check) => check.needed);
  const others = checks.filter((check) => !check.needed);
  const places = paths.map(({ path, type }) => `${path} (${type})`).join(', ');
  const section = (title: string, rows: readonly Check[]) =>
    rows.length === 0 ? '' : `\n${wrapped(title, 0)}${rows.map((row) => checkText(row, paint)).join('')}`;
  return (
    `${paint(ready ? 'green' : 'red', ready ? 'ready' : 'not ready')}${wrapped(reason, 11).slice(ready ? 5 : 9)}` +
    wrapped(`transport  ${TRANSPORTS[transport]}`, 11, 0) +
    wrapped(`cache      ${places === '' ? 'not known' : places}`, 11, 0) +
    wrapped(`GDS        ${gdsLine(gds, transport)}`, 11, 0) +
    section('Needed here:', needed) +
    section('For GPUDirect Storage, which the settings do not ask for:', others)
  );
}

function gdsLine({ usable, reason }: DoctorReport['gds'], transport: DoctorReport['transport']): string {
  const meant = usable === 'no' ? (INSTEAD[transport] ?? '') : '';
  const word = { yes: 'would work', no: 'would not work', unknown: 'not known' }[usable];
  return `GPUDirect Storage ${transport === 'gds' && usable === 'yes' ? 'should work' : word}: ${reason}.${meant}`;
}

type Paint = (colour: Parameters<typeof styleText>[0], text: string) => string;

function checkText({ id, status, seen, where, why, fix }: Check, paint: Paint): string {
  const head = `  ${status.padEnd(7)}  ${id.padEnd(14)} `;
  const body = wrapped(head + seen, INDENT, 0).slice(head.length);
  let text = `  ${paint(COLOURS[status], status)}${head.slice(2 + status.length)}${body}`;
  if (status === 'ok') return text;
  const row = (name: string, value: string) =>
    value
      .split('\n')
      .map((line, i) => wrapped(`${(i === 0 ? name : '').padEnd(NAME)}${line}`, DETAIL + NAME, DETAIL))
      .join('');
  text += row('where', where) + row('why', why);
  if (fix !== null) text += row('fix', fix);
  return text;
}

/** Lines of at most {@link WIDTH} columns; a word that is longer is cut, so that nothing is wider. */
function wrapped(text: string, indent: number, first = indent): string {
  const lines: string[] = [];
  let line = ' '.repeat(first);
  let room = WIDTH - first;
  const push = () => {
    lines.push(line.trimEnd());
    line = ' '.repeat(indent);
    room = WIDTH - indent;
  };
  for (const piece of text.replaceAll('\n', ' ').match(/ +|[^ ]+/g) ?? []) {
    let left = piece;
    if (left.length > room && room < WIDTH - indent) {
      push();
      left = left.trimStart();
    }
    while (left.length > room) {
      line += left.slice(0, room);
      left = left.slice(room);
      push();
    }
    line += left;
    room -= left.length;
  }
  push();
  return `${lines.join('\n')}\n`;
}
