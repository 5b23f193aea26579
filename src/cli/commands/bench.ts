/** `kv-offload bench`: how fast chunks are stored and retrieved. */
import type { Command } from '@commander-js/extra-typings';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, count } from '../options.js';
import { print, printJson, table } from '../output.js';

const MOST_CHUNKS = 4096;
const MOST_MIB = 1024;

const AFTER_HELP = `
Writes CHUNKS × SIZE to a temporary directory, reads them back, and removes it. What is read back so soon comes from the
page cache, unless direct I/O is used. Threads, direct I/O, sums and sync are those of the settings.

JSON: {"path","filesystem","chunks","chunkBytes","threads","checksums","sync","io":{"mode","reason"},
"results":[{"operation","chunks","bytes","seconds","gbPerSecond"}]}

Example:
  $ kv-offload bench --path /mnt/weka --chunks 64 --size 32`;

export function addBench(program: Command): void {
  program
    .command('bench')
    .description('measure storing, looking up and retrieving chunks')
    .option('--path <dir>', "where its temporary directory is made (default: the system's place for such)")
    .option('--chunks <n>', 'how many', count('--chunks', 1, MOST_CHUNKS), 16)
    .option('--size <mib>', 'MiB a chunk', count('--size', 1, MOST_MIB), 32)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ path, chunks, size, json = false }) => {
      const { measure } = await import('../measure.js');
      const report = await interruptible((signal) => measure({ path, chunks, sizeMiB: size, signal }));
      if (json) {
        await printJson(report);
        return;
      }
      const rows = report.results.map(({ operation, bytes, seconds, gbPerSecond }) => [
        operation,
        String(report.chunks),
        bytes.toLocaleString('en'),
        `${(seconds * 1000).toFixed(1)} ms`,
        gbPerSecond?.toFixed(2) ?? '',
      ]);
      const { filesystem, threads, io, checksums } = report;
      const how = `${threads} threads, ${io.mode} I/O (${io.reason}), sums ${checksums ? 'on' : 'off'}`;
      await print(`${report.path} (${filesystem}): ${how}\n\n`);
      await print(table([['', 'chunks', 'bytes', 'time', 'GB/s'], ...rows], [1, 2, 3, 4]));
    });
}
