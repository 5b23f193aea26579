/** `kv-offload put`: a file's bytes → a chunk. */
import { resolve } from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { headerDtype } from '../../dtypes.js';
import { KVOffloadError } from '../../errors.js';
import { chunkPath, findMount, generationOf, isMemoryFormat, shapeBytes, shardPath } from '../../layout/index.js';
import { canonicalKey, withWritableCache } from '../cache.js';
import { readExactly } from '../input.js';
import { interruptible } from '../interrupt.js';
import { BASE, BASE_HELP, JSON_HELP, JSON_OPTION, VERSION, VERSION_HELP, count, parseShape } from '../options.js';
import { print, printJson } from '../output.js';
import { loadSettings, requireBase } from '../settings.js';

const AFTER_HELP = `
The chunk is published whole or not at all. Where its key exists, the file there stays as it is: exit code 0, and the
outcome is "exists".

JSON: {"outcome","key","path","bytes"}

Example:
  $ kv-offload put --base /mnt/weka/cache --key "$KEY" --dtype BF16 --shape 2,32,256,1024 kv.bin`;

export function addPut(program: Command): void {
  program
    .command('put')
    .description('store a chunk')
    .argument('<file>', 'the bytes, exactly as many as shape and dtype take; - is standard input')
    .option(BASE, BASE_HELP)
    .requiredOption('--key <key>', 'key, as "keys" prints it')
    .requiredOption('--dtype <name>', "torch's name, a key's or a header's")
    .requiredOption('--shape <dimensions>', 'such as 2,32,256,1024', parseShape)
    .option('--fmt <n>', "LMCache's number of the memory format (default: from the shape)", count('--fmt', 0, 8))
    .option('--replace', 'publish over an existing chunk')
    .option(VERSION, VERSION_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (file, { base, dtype: dtypeName, shape, fmt, replace, lmcacheVersion, json, ...rest }) => {
      const dtype = headerDtype(dtypeName);
      const config = await loadSettings({ base, lmcacheVersion });
      const generation = generationOf(config.lmcacheVersion);
      const key = canonicalKey(rest.key, config);
      requireBase(config);
      // Of several, the one that this process writes to, as the engine has it. A key too long is found before it is made.
      const writeBase = resolve(shardPath(config.paths, config.deviceIndex));
      const suffix = generation.suffix(findMount(writeBase).type);
      const path = chunkPath(generation, writeBase, generation.key.parse(key), suffix);
      const what = `${dtype} [${shape.join(', ')}]`;
      const bytes = shapeBytes(shape, dtype);
      if (!Number.isSafeInteger(bytes)) {
        throw new KVOffloadError('KVO_SHAPE_MISMATCH', `${what} has more than 2^53 - 1 bytes`);
      }
      const payload = await readExactly(file, bytes, what);
      const tensor = { dtype, shape, ...(isMemoryFormat(fmt) && { format: fmt }) };

      const outcome = await interruptible((signal) =>
        withWritableCache({ ...config, paths: [writeBase] }, async (files) => {
          signal.addEventListener('abort', () => void files.close(), { once: true });
          return files.writeChunk(key, tensor, payload, { replace: replace === true });
        }),
      );
      if (json === true) await printJson({ outcome, key, path, bytes });
      else await print(`${outcome} ${path}\n`);
    });
}
