/** `kv-offload ls`: the chunks below a cache directory. */
import type { Command } from '@commander-js/extra-typings';
import type { ListedChunk } from '../../store/chunk-files.js';
import { withCache } from '../cache.js';
import { errorJson, remark } from '../failure.js';
import { generationOf } from '../../layout/index.js';
import { BASE, BASE_HELP, JSON_HELP, JSON_OPTION, VERSION } from '../options.js';
import { print } from '../output.js';
import { loadSettings, requireBase } from '../settings.js';

const AFTER_HELP = `
Prints a key a line, in no order; a file without one by its path. --long prints bytes of payload, dtype, shape, the
LMCache versions that write such files, key and path, with tabs between. Files that are no sound chunks are told on stderr; the exit code is 0 all the same ("inspect"
judges).

JSON: {"chunks":[{"key","generation","path","bytes","dtype","shape","format","sums","problem"}]}, without what a file does not have.

Example:
  $ kv-offload ls --base /mnt/weka/cache --json | jq '[.chunks[].bytes] | add'`;

export function addLs(program: Command): void {
  program
    .command('ls')
    .description('list chunks')
    .option(BASE, BASE_HELP)
    .option('-l, --long', 'more than keys')
    .option(VERSION, 'only the chunks that this LMCache could have written, such as 0.3.9 (default: all)')
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ base, long = false, lmcacheVersion, json = false }) => {
      const config = await loadSettings({ base, lmcacheVersion });
      requireBase(config);
      await withCache(config, async (files) => {
        const all = files.listChunks();
        const listing =
          lmcacheVersion === undefined ? all : ofGeneration(all, generationOf(config.lmcacheVersion).name);
        await (json ? printAsJson(listing) : printAsText(listing, long));
      });
    });
}

type Listing = AsyncGenerator<ListedChunk, void, undefined>;

async function* ofGeneration(listing: Listing, generation: string): Listing {
  for await (const chunk of listing) if (chunk.generation === generation) yield chunk;
}

/** Piece by piece: a cache may have more chunks than a string has room for. */
async function printAsJson(listing: Listing): Promise<void> {
  let separator = '{"chunks":[\n';
  for await (const { problem, ...chunk } of listing) {
    await print(separator + JSON.stringify({ ...chunk, ...(problem && { problem: errorJson(problem) }) }));
    separator = ',\n';
  }
  await print(separator.startsWith(',') ? '\n]}\n' : '{"chunks":[]}\n');
}

async function printAsText(listing: Listing, long: boolean): Promise<void> {
  let broken = 0;
  for await (const chunk of listing) {
    await print(`${long ? longLine(chunk) : (chunk.key ?? chunk.path)}\n`);
    if (chunk.problem === undefined) continue;
    broken++;
    if (long) remark(`${chunk.problem.message} [${chunk.problem.code}]`);
  }
  if (broken > 0 && !long) remark(`${broken} of these files cannot be used; ls --long says why`);
}

function longLine({ bytes, dtype, shape, generation, key, path }: ListedChunk): string {
  return [bytes, dtype ?? '-', shape?.join(',') ?? '-', generation ?? '-', key ?? '-', path].join('\t');
}
