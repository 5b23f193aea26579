/** `kv-offload doctor`: will offload work on this node, what is missing, and how to mend it. */
import type { Command } from '@commander-js/extra-typings';
import type { DoctorOptions, DoctorReport, NodeOptions } from '../../readiness/index.js';
import { EXIT } from '../exit-codes.js';
import { remark } from '../failure.js';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, ROOT, ROOT_HELP } from '../options.js';
import { print, printJson } from '../output.js';

const AFTER_HELP = `
Ready: the configured transport will work as configured. By default that is host memory, and a machine without a GPU is
ready; with --require-gds, or kv_offload.require_gds, it is GPUDirect Storage to the cache's path. What GPUDirect Storage
would lack is told in any case. Stores and retrieves one chunk in a temporary directory of the cache's path.

Exit codes: 0 ready, 1 not ready, 2 bad usage.

JSON: {"ready","reason","transport","paths":[{"path","mount","type"}],"gds":{"usable","reason"},
"checks":[{"id","status","seen","where","why","fix","needed"}]}; "status" is ok, warn, fail or unknown.

Examples:
  $ kv-offload doctor --path /mnt/weka/cache
  $ kv-offload doctor --record node.tar.gz && tar xzf node.tar.gz && kv-offload doctor --root kv-offload-node
  $ kv-offload doctor --require-gds --json | jq -r '.checks[] | select(.status == "fail") | .fix'`;

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check whether offload will work on this node, and say what is missing')
    .option('--path <dir>', 'cache directory (default: those of the settings)')
    .option('--require-gds', 'only GPUDirect Storage counts as ready')
    .option('--record <file>', 'write an archive of what was read, a .tar.gz, to send with a question')
    .option(ROOT, ROOT_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ path, requireGds = false, record, root, json = false }) => {
      const options = { ...(path !== undefined && { path }), ...(root !== undefined && { root }), requireGds };
      const { report } = record === undefined ? await examined(options) : await recorded(options, record);
      if (json) await printJson(report);
      else {
        const { reportText } = await import('../report-text.js');
        const colours = process.stdout.isTTY && process.stdout.hasColors();
        await print(reportText(report, colours));
      }
      if (!report.ready) process.exitCode = EXIT.failed;
    });
}

type Options = NodeOptions & DoctorOptions;

async function examined(options: Options): Promise<{ readonly report: DoctorReport }> {
  const { runDoctor } = await import('../../readiness/index.js');
  return { report: await runDoctor(options) };
}

async function recorded(options: Options, path: string): Promise<{ readonly report: DoctorReport }> {
  const { outputFile, writeOutput } = await import('../output-file.js');
  const file = await outputFile(path);
  const { recordNode } = await import('../../readiness/index.js');
  const { report, archive } = await recordNode(options);
  await interruptible((signal) => writeOutput(file, archive, signal));
  remark(`recorded in ${path}; docs/readiness.md lists what is in it: look before you send it`);
  return { report };
}
