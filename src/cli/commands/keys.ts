/** `kv-offload keys`: what a prompt's chunks are called. */
import type { Command } from '@commander-js/extra-typings';
import { shardPath } from '../../layout/index.js';
import { type PromptOptions, addPromptOptions } from '../options.js';
import { print, printJson, table } from '../output.js';
import { hasBase, loadSettings } from '../settings.js';

const AFTER_HELP = `
Touches no cache. Without a cache directory, in options or settings, paths are relative to any.

JSON: {"chunks":[{"start","end","hash","key","path"}]}, the hash as a decimal string.

Examples:
  $ kv-offload keys --model m --chunk-size 4 --tokens tokens.json --json
  $ echo 1 2 3 4 | kv-offload keys --model m --chunk-size 4 --seed 0 --base /mnt/weka/cache --fstype wekafs`;

export function addKeys(program: Command): void {
  addPromptOptions(program.command('keys'))
    .description("print the hash, key and path of a prompt's chunks")
    .addHelpText('after', AFTER_HELP)
    .action(printKeys);
}

async function printKeys(options: PromptOptions): Promise<void> {
  const config = await loadSettings(options);
  const { namePrompt } = await import('../name-prompt.js');
  const bases = hasBase(config) ? [shardPath(config.paths, config.deviceIndex)] : [];
  const named = await namePrompt(options, config, bases);
  const chunks = named.chunks.map(({ start, end, hash, key, paths }) => {
    return { start, end, hash: hash.toString(), key, path: paths[0] ?? '' };
  });
  if (options.json === true) {
    await printJson({ chunks });
    return;
  }
  const rows = chunks.map(({ start, end, hash, key, path }) => [String(start), String(end), hash, key, path]);
  await print(table([['start', 'end', 'hash', 'key', 'path'], ...rows], [0, 1, 2]));
}
