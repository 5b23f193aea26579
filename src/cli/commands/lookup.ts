/** `kv-offload lookup`: how much of a prompt is cached. */
import type { Command } from '@commander-js/extra-typings';
import { EXIT } from '../exit-codes.js';
import { errorJson, remark } from '../failure.js';
import { type PromptOptions, addPromptOptions } from '../options.js';
import { print, printJson } from '../output.js';
import { loadSettings, requireBase } from '../settings.js';

const AFTER_HELP = `
Reads the header of each chunk's file and stops at the first chunk that is missing, broken or another prompt's.
Exit code 3 where nothing is cached.

JSON: {"tokens","chunks","cached":[{"start","end","hash","key","path","bytes","dtype","shape"}]}: tokens is the
length of the cached prefix, chunks how many the prompt has, cached those of the prefix. "problem" is the error of the
chunk it stopped at, where that has a file.

Example:
  $ kv-offload lookup --model m --base /mnt/weka/cache --tokens tokens.json`;

export function addLookup(program: Command): void {
  addPromptOptions(program.command('lookup'))
    .description('say how much of a prompt is cached')
    .addHelpText('after', AFTER_HELP)
    .action(printLookup);
}

async function printLookup(options: PromptOptions): Promise<void> {
  const config = await loadSettings(options);
  requireBase(config);
  const [{ namePrompt }, { cachedPrefix }, { withCache }] = await Promise.all([
    import('../name-prompt.js'),
    import('../cached-prefix.js'),
    import('../cache.js'),
  ]);
  const prompt = await namePrompt(options, config, config.paths);
  const { cached, problem } = await withCache(config, (files) => cachedPrefix(files, prompt, config));
  const tokens = cached.at(-1)?.end ?? 0;
  const chunks = prompt.chunks.length;
  if (options.json === true) {
    await printJson({ tokens, chunks, cached, ...(problem && { problem: errorJson(problem) }) });
  } else {
    await print(`${tokens} of ${prompt.tokens.length} tokens cached, ${cached.length} of ${chunks} chunks\n`);
    if (problem) remark(`stopped at a chunk that cannot be used: ${problem.message} [${problem.code}]`);
  }
  if (tokens === 0) process.exitCode = EXIT.miss;
}
