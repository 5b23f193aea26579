/** `kv-offload mounts`: the WekaFS mounts of a node. */
import type { Command } from '@commander-js/extra-typings';
import type { WekaMount, WekaMounts } from '../../readiness/index.js';
import { JSON_HELP, JSON_OPTION, ROOT, ROOT_HELP } from '../options.js';
import { print, printJson, table } from '../output.js';

const AFTER_HELP = `
Every mount of type wekafs, what its options mean for a KV cache, and what will surprise. Exit code 0, also without one.

JSON: {"mounts":[{"path","type","source","options":[…],"explained":[{"option","meaning"}],"warnings":[…]}],
"paths":[{"path","mount","type"}]}; "paths" are the cache's configured directories.

Example:
  $ kv-offload mounts --path /mnt/weka/cache`;

export function addMounts(program: Command): void {
  program
    .command('mounts')
    .description('find the WekaFS mounts, and explain their options')
    .option('--path <dir>', 'cache directory to hold against them (default: those of the settings)')
    .option(ROOT, ROOT_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ path, root, json = false }) => {
      const { findWekaMounts } = await import('../../readiness/index.js');
      const found = await findWekaMounts({
        ...(root !== undefined && { root }),
        ...(path !== undefined && { paths: [path] }),
      });
      await (json ? printJson(found) : print(asText(found)));
    });
}

function asText({ mounts, paths }: WekaMounts): string {
  const none = 'No WekaFS mount.\n';
  const where = paths.map(({ path, mount, type }) => `cache ${path}: on ${mount} (${type})\n`).join('');
  return `${mounts.length === 0 ? none : mounts.map(mountText).join('\n')}${where === '' ? '' : `\n${where}`}`;
}

function mountText({ path, type, source, options, explained, warnings }: WekaMount): string {
  const others = options.filter((option) => !explained.some((one) => one.option === option));
  const rows = explained.map(({ option, meaning }) => [`  ${option}`, meaning]);
  if (others.length > 0) rows.push(['  others', others.join(', ')]);
  return `${path}  ${type}  ${source}\n${table(rows)}${warnings.map((text) => `  warning: ${text}\n`).join('')}`;
}
