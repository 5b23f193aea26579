/** `kv-offload bench scale`: a directory of many chunks, and many processes on one. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, count, counts } from '../options.js';
import { HTML_HELP, HTML_OPTION, announcing, giveReport } from './bench-output.js';

const AFTER_HELP = `
Makes files with the names and sizes of chunks and without content, and measures opening an engine on them and looking
up prompts of 512 chunks. Then processes store and retrieve chunks in one directory, each what its neighbour stored.

Example:
  $ kv-offload bench scale --path /mnt/weka --files 1000000 --processes 1,2,4,8`;

export function addBenchScale(bench: CommandUnknownOpts): void {
  bench
    .command('scale')
    .description('measure a directory of many chunks, and several processes on one')
    .option('--path <dir>', "where its temporary directory is made (default: the system's place for such)")
    .option('--files <n>', 'chunks in the directory', count('--files', 0, 10_000_000), 100_000)
    .option('--processes <list>', 'how many at a time', counts('--processes', 64), [1, 2, 4])
    .option('--chunk <size>', 'chunk that processes move: a model or a size', '1MiB')
    .option('--footprint <mib>', 'MiB that the most processes move a run', count('--footprint', 1, 65_536), 128)
    .option('--threads <n>', 'I/O threads of each process', count('--threads', 1, 256), 2)
    .option('--repeats <n>', 'runs that count', count('--repeats', 1, 1000), 5)
    .option(HTML_OPTION, HTML_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (options) => {
      const { runScale } = await import('../bench/scale.js');
      const { reportOf } = await import('../bench/report.js');
      const startedAt = new Date();
      const command = ['kv-offload', ...process.argv.slice(2)];
      const footprint = options.footprint * 2 ** 20;
      const result = await interruptible((signal) =>
        runScale({ ...options, path: options.path, footprint, signal, announce: announcing(options) }),
      );
      await giveReport(reportOf({ command, startedAt, budget: 0, ...result }), options);
    });
}
