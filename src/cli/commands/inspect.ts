/** `kv-offload inspect`: what a chunk's file says, and whether it agrees with itself. */
import { stat } from 'node:fs/promises';
import type { Command } from '@commander-js/extra-typings';
import { KVOffloadError } from '../../errors.js';
import { SIDECAR_SUFFIX, type DecodedHeader, generationOf, memoryFormatName } from '../../layout/index.js';
import type { ChunkFiles, ChunkInspection } from '../../store/chunk-files.js';
import { withCache } from '../cache.js';
import { EXIT } from '../exit-codes.js';
import { errorJson } from '../failure.js';
import { JSON_HELP, JSON_OPTION, VERSION } from '../options.js';
import { print, printJson, table } from '../output.js';
import { loadSettings } from '../settings.js';
import { errnoOf, inputError } from '../system-errors.js';

const AFTER_HELP = `
Looks at header, sizes and sidecar. Exit code 1 where they do not agree, 3 where there is no such file. A missing
sidecar is no problem: the data file counts.

JSON: {"path","key","generation","fileBytes","header":{…},"sidecar","verified","problems":[{"code","message","retriable"}]}; the
header's sums as 16 hex digits each; verified only with --verify, false where the header has no sums to compare.

Example:
  $ kv-offload inspect --verify --json "$FILE"`;

interface Inspection extends ChunkInspection {
  /** With --verify, of a file that is sound otherwise. */
  readonly verified?: boolean;
}

export function addInspect(program: Command): void {
  program
    .command('inspect')
    .description("show a chunk's file: its header, its sizes, whether all agrees")
    .argument('<file>', "a chunk's data file")
    .option('--verify', 'read the payload and compare its sums')
    .option(
      VERSION,
      'a problem where this LMCache, such as 0.3.9, does not name and head files so (default: any will do)',
    )
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (file, { verify = false, lmcacheVersion, json = false }) => {
      const config = { ...(await loadSettings({ lmcacheVersion })), checksums: true };
      const path = await dataFile(file);
      const found = await withCache(config, (files) => inspectFile(files, path, verify), []);
      const inspection =
        lmcacheVersion === undefined ? found : heldAgainst(found, generationOf(config.lmcacheVersion).name);
      await (json ? printJson(asJson(inspection)) : print(asText(inspection)));
      if (inspection.problems.length > 0) process.exitCode = EXIT.failed;
    });
}

/** The data file that is meant; of a sidecar the one beside it. */
async function dataFile(given: string): Promise<string> {
  const beside = given.endsWith(SIDECAR_SUFFIX) ? given.slice(0, -SIDECAR_SUFFIX.length) : given;
  const path = beside !== given && (await isFile(beside)) ? beside : given;
  // Opening a pipe would wait for whoever writes to it.
  if (!(await isFile(path))) throw new KVOffloadError('KVO_ARGUMENT_INVALID', `${path} is no regular file`);
  return path;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new KVOffloadError('KVO_NOT_FOUND', `no file at ${path}`, error);
    throw inputError(path, error);
  }
}

async function inspectFile(files: ChunkFiles, path: string, verify: boolean): Promise<Inspection> {
  const inspection = await files.inspect(path);
  if (!verify || inspection.problems.length > 0) return inspection;
  try {
    return { ...inspection, verified: (await files.readChunk({ path })).verified };
  } catch (error) {
    if (!(error instanceof KVOffloadError) || error.code !== 'KVO_CHUNK_CORRUPT') throw error;
    return { ...inspection, verified: false, problems: [error] };
  }
}

/** Another LMCache's file, where one is asked for. */
function heldAgainst(inspection: Inspection, generation: string): Inspection {
  if (inspection.generation === generation) return inspection;
  const what = `it is a file of LMCache ${inspection.generation ?? 'of no version'}, not of ${generation}`;
  const problem = new KVOffloadError('KVO_KEY_INVALID', `${inspection.path}: ${what}`);
  return { ...inspection, problems: [...inspection.problems, problem] };
}

function asJson({ header, problems, ...rest }: Inspection): object {
  return { ...rest, ...(header && { header: headerJson(header) }), problems: problems.map(errorJson) };
}

function headerJson({ extras, ...header }: DecodedHeader): object {
  if (!extras) return header;
  const { sums, ...others } = extras;
  return { ...header, extras: { ...others, ...(sums && { sums: Array.from(sums, sumText) }) } };
}

function sumText(sum: bigint): string {
  return sum.toString(16).padStart(16, '0');
}

function asText({ path, key, generation, fileBytes, header, sidecar, verified, problems }: Inspection): string {
  const rows: (readonly [string, string])[] = [
    ['file', path],
    ['key', key ?? "none: its name is no chunk's"],
    ['LMCache', generation ?? 'none writes such files'],
    ['file size', `${fileBytes} bytes`],
    ...(header ? headerRows(header) : [['header', 'none'] as const]),
    ['sidecar', sidecar],
  ];
  if (verified !== undefined) rows.push(['verified', verified ? 'yes: its sums are right' : 'no']);
  for (const { message, code } of problems) rows.push(['problem', `${message} [${code}]`]);
  if (problems.length === 0) rows.push(['problems', 'none']);
  return table(rows);
}

function headerRows({ dtype, shape, format, payloadBytes, groups, extras }: DecodedHeader): [string, string][] {
  const rows: [string, string][] = [
    ['dtype', dtype],
    ['shape', `[${shape.join(', ')}]`],
    ['format', `${format} ${memoryFormatName(format)}`],
    ['payload', `${payloadBytes} bytes`],
  ];
  for (const group of groups ?? []) rows.push(['tensor', `${group.dtype} [${group.shape.join(', ')}]`]);
  if (!extras) return [...rows, ['extras', "none: LMCache's own chunk"]];
  if (extras.key !== undefined) rows.push(['written as', extras.key]);
  if (extras.chunkIndex !== undefined) rows.push(['index in prompt', String(extras.chunkIndex)]);
  if (extras.prefix !== undefined) rows.push(['prefix SHA-256', extras.prefix]);
  if (extras.sums) rows.push(['sums', `${extras.sums.length} of blocks of ${extras.sumBlock ?? 0} bytes`]);
  return rows;
}
