/** `kv-offload get`: a chunk → a file's bytes. */
import type { Command } from '@commander-js/extra-typings';
import { KVOffloadError } from '../../errors.js';
import { canonicalKey, withCache } from '../cache.js';
import { interruptible } from '../interrupt.js';
import { BASE, BASE_HELP, JSON_HELP, JSON_OPTION, VERSION, VERSION_HELP } from '../options.js';
import { type OutputFile, outputFile, writeOutput } from '../output-file.js';
import { print, printJson } from '../output.js';
import { loadSettings, requireBase } from '../settings.js';

const PIECE_BYTES = 2 ** 20;

const AFTER_HELP = `
Compares the chunk's sums where it has some. FILE is written whole or not at all. Without -o the bytes go to stdout,
which must not be a terminal. Exit code 3 where there is no such chunk.

JSON, with -o: {"key","path","output","bytes","dtype","shape","format","verified"}

Example:
  $ kv-offload get --base /mnt/weka/cache --key "$KEY" -o kv.bin`;

export function addGet(program: Command): void {
  program
    .command('get')
    .description('retrieve a chunk')
    .option(BASE, BASE_HELP)
    .requiredOption('--key <key>', 'key, as "keys" prints it')
    .option('-o, --output <file>', 'where its bytes go (default: standard output)')
    .option(VERSION, VERSION_HELP)
    .option(JSON_OPTION, `${JSON_HELP}; needs -o`)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ base, key: given, output, lmcacheVersion, json = false }) => {
      const config = await loadSettings({ base, lmcacheVersion });
      const key = canonicalKey(given, config);
      requireBase(config);
      const file = output === undefined || output === '-' ? undefined : await outputFile(output);
      if (file === undefined) checkStdout(json);

      const { chunk } = await interruptible((signal) =>
        withCache(config, async (files) => {
          signal.addEventListener('abort', () => void files.close(), { once: true });
          const read = await files.readChunk({ key });
          if (file !== undefined) await writeOutput(file, read.bytes, signal);
          return { chunk: read };
        }),
      );
      await (file === undefined ? printBytes(chunk.bytes) : report(chunk, file, json));
    });
}

function checkStdout(json: boolean): void {
  if (json) {
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      '--json needs -o FILE: stdout would carry both the chunk and JSON',
    );
  }
  if (process.stdout.isTTY) {
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', 'a chunk is not for a terminal; use -o FILE, or a pipe');
  }
}

async function printBytes(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) await print(bytes.subarray(at, at + PIECE_BYTES));
}

type Chunk = Awaited<ReturnType<Parameters<Parameters<typeof withCache>[1]>[0]['readChunk']>>;

async function report(chunk: Chunk, file: OutputFile, json: boolean): Promise<void> {
  const { bytes, ...rest } = chunk;
  if (json) {
    await printJson({ ...rest, bytes: bytes.byteLength, output: file.path });
    return;
  }
  const sums = chunk.verified ? 'sums compared' : 'no sums compared';
  await print(`wrote ${file.path}: ${bytes.byteLength} bytes, ${chunk.dtype} [${chunk.shape.join(', ')}], ${sums}\n`);
}
