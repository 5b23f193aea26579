/** The command line as a whole: its commands, its help, and how it ends. */
import { readFileSync } from 'node:fs';
import { Command as RuntimeCommand } from 'commander';
import type { Command } from '@commander-js/extra-typings';
import { addBench } from './commands/bench.js';
import { addConfig } from './commands/config.js';
import { addCufileJson } from './commands/cufile-json.js';
import { addDemo } from './commands/demo.js';
import { addDoctor } from './commands/doctor.js';
import { addGet } from './commands/get.js';
import { addInspect } from './commands/inspect.js';
import { addKeys } from './commands/keys.js';
import { addLookup } from './commands/lookup.js';
import { addLs } from './commands/ls.js';
import { addMounts } from './commands/mounts.js';
import { addProbe } from './commands/probe.js';
import { addPut } from './commands/put.js';
import { EXIT } from './exit-codes.js';
import { reportFailure } from './failure.js';
import { watchStdout } from './output.js';

const COMMANDS = [
  addKeys,
  addLookup,
  addPut,
  addGet,
  addLs,
  addInspect,
  addConfig,
  addDemo,
  addBench,
  addDoctor,
  addProbe,
  addMounts,
  addCufileJson,
];

const AFTER_HELP = `
Settings come from the environment (LMCACHE_WEKA_PATH, LMCACHE_CHUNK_SIZE, PYTHONHASHSEED, …) and the YAML file
that LMCACHE_CONFIG_FILE names, as in LMCache; options win. "kv-offload config" shows them.

Exit codes:
  ${EXIT.done}  done
  ${EXIT.failed}  failed, a chunk is corrupt, or the node is not ready
  ${EXIT.badInput}  bad input: options, arguments, settings, files and directories given
  ${EXIT.miss}  miss: no such chunk, nothing cached

Output goes to stdout. Errors go to stderr, as "kv-offload: MESSAGE [CODE]" or, with --json, as
{"error":{"code","message","retriable"}}.

Examples:
  $ kv-offload keys --model meta-llama/Llama-3.1-8B-Instruct --base /mnt/weka/cache --tokens tokens.json --json
  $ kv-offload lookup --model meta-llama/Llama-3.1-8B-Instruct --base /mnt/weka/cache < tokens.json
  $ kv-offload ls --base /mnt/weka/cache --long
  $ kv-offload get --base /mnt/weka/cache --key "$KEY" -o chunk.bin
  $ kv-offload inspect --verify "$FILE"`;

/** Runs one command line, errors included. Resolves to its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  watchStdout();
  try {
    await createProgram().parseAsync([...argv]);
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    return reportFailure(error, argv.includes('--json'));
  }
}

function createProgram(): Command {
  // The typings describe commander's own class, more exactly than commander does.
  const program = new RuntimeCommand() as unknown as Command;
  program
    .name('kv-offload')
    .description("Keeps chunks of an LLM's KV cache in files, in LMCache's formats.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help, of a command too')
    .helpCommand(false)
    // An option after a command of a command, such as bench compare, is that one's.
    .enablePositionalOptions()
    .showSuggestionAfterError()
    // What is wrong with the arguments is thrown, to be reported as every other error is.
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', AFTER_HELP);
  for (const add of COMMANDS) add(program);
  return program;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
