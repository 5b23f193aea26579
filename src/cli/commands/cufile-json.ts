/** `kv-offload cufile-json`: the cuFile configuration that WekaFS needs. */
import { createInterface } from 'node:readline/promises';
import type { Command } from '@commander-js/extra-typings';
import { KVOffloadError } from '../../errors.js';
import type { CufileConfig } from '../../readiness/index.js';
import { EXIT } from '../exit-codes.js';
import { remark } from '../failure.js';
import { readText } from '../input.js';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, ROOT, ROOT_HELP } from '../options.js';
import { print, printJson } from '../output.js';
import { type OutputFile, outputFile, writeOutput } from '../output-file.js';

const AFTER_HELP = `
Starts from the file that cuFile would read (kv_offload.cufile_config, CUFILE_ENV_PATH_JSON, /etc/cufile.json), applies
WEKA's settings, and puts in the addresses of the InfiniBand interfaces that are up. Comments and other settings stay.
Without --out the new file goes to stdout and the diff to stderr; nothing is written. An existing file of another content
is replaced only by --force, or when you say yes on a terminal.

--check writes nothing, and exits with 1 where something would change.

JSON: {"from","out","changes":[{"setting","before","after","why"}],"warnings":[…],"diff","written"}, and "text" without --out

Example:
  $ kv-offload cufile-json --check
  $ sudo kv-offload cufile-json --out /etc/cufile.json
  $ kv-offload cufile-json --out cufile.json && export CUFILE_ENV_PATH_JSON=$PWD/cufile.json`;

interface Options {
  readonly from?: string | undefined;
  readonly out?: string | undefined;
  readonly strict?: true | undefined;
  readonly check?: true | undefined;
  readonly force?: true | undefined;
  readonly root?: string | undefined;
  readonly json?: true | undefined;
}

export function addCufileJson(program: Command): void {
  program
    .command('cufile-json')
    .description('make the cufile.json that WEKA needs, from the installed one')
    .option('--from <file>', 'file to start from (default: the one cuFile would read)')
    .option('--out <file>', 'where to write it, whole or not at all')
    .option('--strict', 'turn compatibility mode off too: reads fail rather than go through host memory')
    .option('--check', 'only say whether something would change')
    .option('--force', 'replace an existing file without asking')
    .option(ROOT, ROOT_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(run);
}

async function run({ from, out, strict, check, force, root, json }: Options): Promise<void> {
  if (check && out !== undefined) {
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', '--check writes nothing; leave out --out, or --check');
  }
  const { buildCufileConfig } = await import('../../readiness/index.js');
  const made = await buildCufileConfig({
    ...(from !== undefined && { from }),
    ...(root !== undefined && { root }),
    strict: strict === true,
  });
  const written = out === undefined ? false : await write(out, made, force === true, json === true);
  if (check && made.changes.length > 0) process.exitCode = EXIT.failed;
  if (json) {
    const { from: source = null, changes, warnings, diff, text } = made;
    const whole = out === undefined && !check ? { text } : {};
    await printJson({ from: source, out: out ?? null, changes, warnings, diff, written, ...whole });
    return;
  }
  for (const warning of made.warnings) remark(warning);
  if (check) await print(made.diff === '' ? `${made.from ?? 'cufile.json'}: nothing to change\n` : made.diff);
  else if (out === undefined) {
    process.stderr.write(made.diff);
    await print(made.text);
  } else await print(written ? `wrote ${out}\n` : `${out} is right as it is; nothing was written\n`);
}

/** False where the file is there already, as it should be. */
async function write(out: string, made: CufileConfig, force: boolean, quiet: boolean): Promise<boolean> {
  const file = await outputFile(out);
  const present = file.mode === undefined || file.special ? undefined : await readText(file.path);
  if (present === made.text) return false;
  if (!quiet) {
    const { lineDiff } = await import('../../readiness/line-diff.js');
    // What is about to be replaced may be another file than the one it was made from.
    await print(present === undefined ? made.diff : lineDiff(present, made.text, out, `${out} (for WekaFS)`));
  }
  if (present !== undefined && !force && !(await agreed(file, quiet))) {
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      `${out} exists with another content and was left as it is; use --force to replace it`,
    );
  }
  await interruptible((signal) => writeOutput(file, Buffer.from(made.text), signal));
  return true;
}

/** Asks, where there is someone to ask. */
async function agreed({ path }: OutputFile, quiet: boolean): Promise<boolean> {
  if (quiet || !process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`kv-offload: replace ${path}? [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
