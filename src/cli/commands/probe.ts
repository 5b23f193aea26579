/** `kv-offload probe`: doctor's cheap part, for Kubernetes' startup and readiness probes. */
import type { Command } from '@commander-js/extra-typings';
import { JSON_HELP, JSON_OPTION, ROOT, ROOT_HELP } from '../options.js';
import { print } from '../output.js';
import { probe } from '../quick-probe.js';

const AFTER_HELP = `
The checks of doctor that only read: no program is run but "stat", nothing is written. One line of reason.

Exit codes: 0 ready, 1 not ready, 2 bad usage.

JSON: {"ready","reason"}

Example:
  $ kv-offload probe --require-gds --path /mnt/weka/cache`;

export function addProbe(program: Command): void {
  program
    .command('probe')
    .description('say in one line whether this node is ready, for startup probes')
    .option('--path <dir>', 'cache directory (default: those of the settings)')
    .option('--require-gds', 'only GPUDirect Storage counts as ready')
    .option(ROOT, ROOT_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (options) => {
      const { line, exitCode } = await probe(options);
      await print(`${line}\n`);
      process.exitCode = exitCode;
    });
}
