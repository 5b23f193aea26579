/** Every figure in one run: `npm run bench:figures [-- --directory DIR --disk DIR --pairs N --quick --json FILE]`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fioVersion } from '../src/cli/bench/contenders.js';
import { describeFilesystem, describeMachine, describeVersions } from '../src/cli/bench/machine.js';
import { findPlainIo } from '../src/cli/bench/plain-io.js';
import { benchEventLoop } from './event-loop.js';
import { benchHashing } from './hashing.js';
import { benchLookup } from './lookup.js';
import { benchMoving } from './moving.js';
import { benchOverhead } from './overhead.js';
import { type Figure, isMet } from './pairs.js';
import { benchLookupTime, benchScale } from './scale.js';

const MIB = 2 ** 20;
const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: '/dev/shm' },
    disk: { type: 'string', default: tmpdir() },
    pairs: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const { quick } = values;
  const pairs = Number(values.pairs);
  const threads = Number(values.threads);
  const directory = mkdtempSync(join(values.directory, 'kv-offload-bench-'));
  const disk = mkdtempSync(join(values.disk, 'kv-offload-bench-'));
  const figures: Figure[] = [];
  const add = (title: string, more: readonly Figure[]) => {
    print(`\n${title}\n`);
    for (const figure of more) print(`  ${line(figure)}\n`);
    figures.push(...more);
  };
  const [machine, filesystems] = [describeMachine(), [describeFilesystem(directory), describeFilesystem(disk)]];
  print(
    `${machine.cores} × ${machine.cpu}, Linux ${machine.kernel}, Node ${process.version}, load ${loadavg()[0]?.toFixed(2) ?? ''}\n`,
  );
  print(`${filesystems.map(({ path, type }) => `${path}: ${type}`).join(', ')}\n`);
  const plain = await findPlainIo();
  const plainIo = 'program' in plain ? plain.program : undefined;
  if ('missing' in plain) print(`LEFT OUT: what is held against plain C++, since ${plain.missing}\n`);
  if ((await fioVersion()) === undefined) print('LEFT OUT: what is held against fio, which is not installed\n');
  const moving = { threads, pairs, total: (quick ? 128 : 512) * MIB, plainIo };
  try {
    for (const chunk of quick ? ['32MiB'] : ['32MiB', '10MiB', '1MiB']) {
      add(`moving ${chunk}, in memory`, await benchMoving({ ...moving, directory, direct: false }, chunk));
      add(`moving ${chunk}, on disk`, await benchMoving({ ...moving, directory: disk, direct: false }, chunk));
    }
    const direct = { ...moving, total: moving.total / 2, directory: disk, direct: true };
    for (const chunk of quick ? ['32MiB'] : ['32MiB', '10MiB']) {
      add(`moving ${chunk}, O_DIRECT on disk`, await benchMoving(direct, chunk));
    }
    add('scale', await benchScale(directory, threads, pairs, quick ? 20_480 : 1_000_000));
    add('lookup', await benchLookupTime(directory, threads, pairs));
    if (plainIo !== undefined) {
      add(
        'overhead: wall time less that of the same calls in plain C++',
        await benchOverhead(directory, threads, pairs, plainIo),
      );
      add(
        'lookup and listing of many',
        await benchLookup(directory, threads, pairs, quick ? 10_240 : 100_352, plainIo),
      );
    }
    add('event loop', await benchEventLoop(directory, (quick ? 1 : 4) * 2 ** 30));
    add('hashing', await benchHashing(quick ? 100 : 1000));
  } finally {
    for (const each of [directory, disk]) rmSync(each, { recursive: true, force: true });
  }
  const aimed = figures.filter((figure) => isMet(figure) !== undefined);
  const met = aimed.filter((figure) => isMet(figure) === true);
  print(`\n${met.length} of ${aimed.length} targets met; load ${loadavg()[0]?.toFixed(2) ?? ''} at the end\n`);
  if (values.json !== undefined) {
    const report = { machine, versions: describeVersions(), filesystems, threads, pairs, figures };
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

function line(figure: Figure): string {
  const { name, value, least, greatest, unit, from, target } = figure;
  const text = `${name}: ${value.toFixed(2)} ${unit} [${least.toFixed(2)}, ${greatest.toFixed(2)}], ${from}`;
  if (target === undefined) return text;
  const aim = target.least === undefined ? `≤ ${(target.most ?? NaN).toFixed(2)}` : `≥ ${target.least.toFixed(2)}`;
  return `${text}; target ${aim}: ${isMet(figure) === true ? 'met' : 'SHORT'}`;
}

void main();
