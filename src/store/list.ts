/** Walks a cache directory and reads the header of every chunk, many at a time. */
import { readdir } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import type { HeaderDtype } from '../dtypes.js';
import { KVOffloadError } from '../errors.js';
import { DATA_SUFFIXES, HEADER_BYTES, type HeaderKind, type MemoryFormat, decodeHeader } from '../layout/index.js';
import type { Outcomes } from '../outcomes.js';
import { planLoads } from '../plan.js';
import type { Transfer } from '../transfer.js';
import { headerOnly, namedBy } from './header-only.js';

/** A data file below a base path. */
export interface ListedChunk {
  readonly path: string;
  /** The text of its key; absent where its name is none. */
  readonly key?: string;
  /** The releases of LMCache that name and head files so, such as `0.4.3-0.5.6`; absent where its name is none. */
  readonly generation?: string;
  /** Payload bytes: what the file has beyond its header. */
  readonly bytes: number;
  readonly dtype?: HeaderDtype;
  readonly shape?: readonly number[];
  readonly format?: MemoryFormat;
  /** Whether its header has sums of the payload. */
  readonly sums: boolean;
  /** Why it is no chunk that can be read. */
  readonly problem?: KVOffloadError;
}

/** Headers read at a time. */
const BATCH = 512;
/** Directories read at a time. */
const DIRECTORIES = 32;
/** Levels of directories below a base path. */
const LEVELS = 2;

/** The data files below one base path: in its directories and theirs, as LMCache lays them out. */
export async function* listBase(transfer: Transfer, base: string): AsyncGenerator<ListedChunk, void, undefined> {
  let paths: string[] = [];
  // While one batch's headers are read, the walk goes on.
  let ahead: Promise<ListedChunk[]> | undefined;
  for await (const found of dataFiles(base)) {
    paths.push(...found);
    if (paths.length < BATCH) continue;
    const next = describe(transfer, paths);
    // Awaited one round later, or never where the caller stops: a rejection must not go unhandled meanwhile.
    next.catch(() => undefined);
    if (ahead) yield* await ahead;
    ahead = next;
    paths = [];
  }
  if (ahead) yield* await ahead;
  yield* await describe(transfer, paths);
}

/** Paths of data files, some directories' at a time; the next ones are read while the caller uses these. */
async function* dataFiles(base: string): AsyncGenerator<string[], void, undefined> {
  const directories = [{ path: base, depth: 0 }];
  const readNext = () => {
    const some = directories.splice(-DIRECTORIES);
    const listed = Promise.all(
      some.map(async (directory) => ({ ...directory, entries: await entriesOf(directory.path) })),
    );
    // Never awaited where the caller stops.
    listed.catch(() => undefined);
    return listed;
  };
  for (let reading = readNext(), listed = await reading; listed.length > 0; listed = await reading) {
    const found: string[] = [];
    for (const { path, depth, entries } of listed) {
      for (const entry of entries) {
        const below = `${path}/${entry.name}`;
        if (entry.isDirectory()) {
          if (depth < LEVELS) directories.push({ path: below, depth: depth + 1 });
        } else if (DATA_SUFFIXES.some((suffix) => entry.name.endsWith(suffix))) {
          found.push(below);
        }
      }
    }
    reading = readNext();
    yield found;
  }
}

/** A directory that vanished meanwhile is empty. */
async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new KVOffloadError(
      denied ? 'KVO_PERMISSION' : 'KVO_IO',
      `${directory} cannot be listed (${code ?? 'unknown'})`,
      cause,
    );
  }
}

async function describe(transfer: Transfer, paths: readonly string[]): Promise<ListedChunk[]> {
  if (paths.length === 0) return [];
  const outcomes = await transfer.run(planLoads(paths.map(headerOnly), []));
  return paths.flatMap((path, operation) => {
    // Deleted since it was listed.
    if (outcomes.outcome(operation) === 'absent') return [];
    const { kind, ...content } = contentOf(outcomes, operation, path);
    return [{ path, ...namedBy(path, kind), ...content }];
  });
}

/** What a file's header says, and of which kind it is, where it can be read. */
type Content = Omit<ListedChunk, 'path' | 'key' | 'generation'> & { readonly kind?: HeaderKind };

function contentOf(outcomes: Outcomes, operation: number, path: string): Content {
  const outcome = outcomes.outcome(operation);
  if (outcome !== 'size-mismatch' && outcome !== 'done') {
    return { bytes: 0, sums: false, problem: outcomes.error(operation) };
  }
  const fileBytes = outcome === 'done' ? HEADER_BYTES : outcomes.bytes(operation);
  const bytes = Math.max(fileBytes - HEADER_BYTES, 0);
  try {
    const { kind, dtype, shape, format, payloadBytes, extras } = decodeHeader(
      outcomes.headers,
      operation * HEADER_BYTES,
      path,
    );
    const described = { kind, bytes, dtype, shape, format, sums: extras?.sums !== undefined };
    if (payloadBytes === bytes) return described;
    return {
      ...described,
      problem: new KVOffloadError(
        'KVO_CHUNK_CORRUPT',
        `${path} has ${bytes} bytes of payload, but its header says ${payloadBytes}`,
      ),
    };
  } catch (error) {
    if (error instanceof KVOffloadError) return { bytes, sums: false, problem: error };
    throw error;
  }
}
