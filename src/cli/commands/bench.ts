/** `kv-offload bench`: what a directory can do, what this library gets out of it, and what that means for users. */
import type { Command } from '@commander-js/extra-typings';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, count, counts, device, listOf, word, words } from '../options.js';
import { addBenchCompare } from './bench-compare.js';
import { HTML_HELP, HTML_OPTION, announcing, giveReport } from './bench-output.js';
import { addBenchReplay } from './bench-replay.js';
import { addBenchScale } from './bench-scale.js';
import { addBenchSchema } from './bench-schema.js';
import { addBenchTtft } from './bench-ttft.js';

const MOST_CHUNKS = 4096;
const MOST_THREADS = 256;
const OPERATIONS = ['store', 'retrieve', 'mix', 'lookup'] as const;
const QUICK_SECONDS = 20;
const SWEEP_SECONDS = 1800;
/** Each starts a Python with torch. */
const PEER_SECONDS = 600;

const AFTER_HELP = `
Chunks are those of a model (llama-3.1-8b: 32 MiB, llama-3.3-70b-fp8-tp4: 10 MiB, deepseek-v3: 17.2 MiB) or of bytes
(1MiB, 64KiB). Several values with commas between make every combination. Without options it takes well under a minute;
--sweep takes all models, 1 MiB, several threads and depths, sums on and off, buffered and direct.

Measured in turn, in a temporary directory that is removed: this library, memcpy, and unless --no-peers is given a plain
C++ loop (in a clone with g++), fio (where installed), fs.promises and FileHandle. Every byte that comes back is
compared. What is read back is warm, in the page cache, unless it is read by O_DIRECT; --cold drops it before reads,
where that can be done and checked (dd, fincore).

With --device cuda chunks lie in the GPU's memory. Ceilings are then copies between it and pinned host memory, and a
plain C++ that stages as this library does; peers those of --peers: LMCache, KvikIO and NIXL, or those that the Python
has (in a clone). --seconds is then 600 unless given.

JSON: "kv-offload bench schema" prints its schema.

Examples:
  $ kv-offload bench --path /mnt/weka
  $ kv-offload bench --path /mnt/weka --chunk llama-3.1-8b,1MiB --threads 1,4,16 --depth 1,32 --cold --json > a.json
  $ kv-offload bench --path /mnt/weka --device cuda --footprint 4096 --peers python3 --json > gpu.json
  $ kv-offload bench compare a.json b.json
  $ kv-offload bench ttft a.json --model llama-3.1-8b --prompt 32768 --hit 0.9 --prefill 8000`;

export function addBench(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure a directory: store, retrieve, mix and lookup, beside ceilings and peers')
    .option('--path <dir>', "where its temporary directory is made (default: the system's place for such)")
    .option('--chunk <list>', 'models or sizes (default: llama-3.1-8b)', listOf)
    .option('--chunks <n>', 'how many of each (default: as many as --footprint is)', count('--chunks', 1, MOST_CHUNKS))
    .option('--size <mib>', 'MiB a chunk: as --chunk <mib>MiB', count('--size', 1, 1024))
    .option('--footprint <mib>', 'MiB that one run moves', count('--footprint', 1, 65_536), 256)
    .option('--threads <list>', 'I/O threads (default: the setting)', counts('--threads', MOST_THREADS))
    .option('--depth <list>', 'chunks a call (default: 32, a prompt of 8,192 tokens)', counts('--depth', MOST_CHUNKS))
    .option(
      '--io <list>',
      'buffered, direct, or both with a comma (default: the setting)',
      words('--io', ['buffered', 'direct']),
    )
    .option('--sums <list>', 'on, off, or both with a comma (default: the setting)', words('--sums', ['on', 'off']))
    .option('--operations <list>', 'of store,retrieve,mix,lookup (default: all)', words('--operations', OPERATIONS))
    .option('--repeats <n>', 'runs that count, after one that does not', count('--repeats', 1, 1000), 5)
    .option('--seconds <n>', 'no new repeat after so long', count('--seconds', 1, 86_400))
    .option('--device <name>', "where chunks lie: cpu, cuda, cuda:1 (default: the settings')", device)
    .option(
      '--transport <kind>',
      "auto, gds or staged, with a GPU (default: the settings')",
      word('--transport', ['auto', 'gds', 'staged']),
    )
    .option('--cold', 'measure reads from the disk too')
    .option('--peers <python>', 'with a GPU: a Python with LMCache, KvikIO, NIXL, or some of them')
    .option('--no-peers', 'this library and memcpy, or with a GPU pinned copies, alone')
    .option('--sweep', 'everything: see below')
    .option(HTML_OPTION, HTML_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .enablePositionalOptions()
    .action(async (options) => {
      const { runBench } = await import('../bench/run.js');
      const { sweepOf } = await import('../bench/choices.js');
      const python = typeof options.peers === 'string' ? options.peers : undefined;
      const quick = python === undefined ? QUICK_SECONDS : PEER_SECONDS;
      const report = await interruptible((signal) =>
        runBench({
          path: options.path,
          sweep: sweepOf(options),
          operations: new Set(options.operations ?? OPERATIONS),
          repeats: options.repeats,
          budget: options.seconds ?? (options.sweep === true ? SWEEP_SECONDS : quick),
          peers: options.peers !== false,
          python,
          device: options.device,
          transport: options.transport,
          cold: options.cold === true || options.sweep === true,
          command: ['kv-offload', ...process.argv.slice(2)],
          signal,
          announce: announcing(options),
        }),
      );
      await giveReport(report, options);
    });
  for (const add of [addBenchCompare, addBenchTtft, addBenchReplay, addBenchScale, addBenchSchema]) add(bench);
}
