/** Every figure in one run: `npm run bench:figures [-- --directory DIR --pairs N --quick --json FILE]`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findMount } from 'kv-offload';
import { benchEventLoop } from './event-loop.js';
import { benchHashing } from './hashing.js';
import { benchIo } from './io.js';
import { benchLookup } from './lookup.js';
import type { Row } from './pairs.js';

const MIB = 2 ** 20;
const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: tmpdir() },
    pairs: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const pairs = Number(values.pairs);
  const threads = Number(values.threads);
  const directory = mkdtempSync(join(values.directory, 'kv-offload-bench-'));
  const rows: Row[] = [];
  const add = (more: Row[]) => {
    for (const row of more) process.stdout.write(`${line(row)}\n`);
    rows.push(...more);
  };
  const { type } = findMount(directory);
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}, ${type}`;
  process.stdout.write(`${machine}\n`);
  try {
    add(await benchHashing(values.quick ? 100 : 1000));
    const total = (values.quick ? 256 : 1024) * MIB;
    for (const chunk of values.quick ? [32] : [32, 10, 1]) {
      add(await benchIo({ directory, threads, pairs, total }, chunk * MIB));
    }
    add(await benchLookup(directory, threads, pairs, values.quick ? 10_240 : 100_352));
    add(await benchEventLoop(directory, (values.quick ? 1 : 4) * 2 ** 30));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}

function line({ name, against, ours, reference, unit, ratio, spread, target }: Row): string {
  const figures = `${ours.toFixed(2)} against ${reference.toFixed(2)} ${unit} (${against})`;
  return `${name}: ${figures}, ratio ${ratio.toFixed(2)} [${spread.map((end) => end.toFixed(2)).join(', ')}]${target === undefined ? '' : `; target ${target}`}`;
}

void main();
