/** What a data file, its header and its sidecar say, and whether they agree. */
import { stat } from 'node:fs/promises';
import { KVOffloadError } from '../errors.js';
import { type DecodedHeader, HEADER_BYTES, SIDECAR_SUFFIX, decodeHeader } from '../layout/index.js';
import { planLoads } from '../plan.js';
import type { Transfer } from '../transfer.js';
import { headerOnly, namedBy } from './header-only.js';

/** What {@link ChunkFiles.inspect} found. */
export interface ChunkInspection {
  readonly path: string;
  /** The key its name stands for. */
  readonly key?: string;
  /** The releases of LMCache that name and head files so, such as `0.4.3-0.5.6`; absent where its name is none. */
  readonly generation?: string;
  readonly fileBytes: number;
  /** Absent where it is none. */
  readonly header?: DecodedHeader;
  /** `hard link`: the data file under a second name; `copy`: the same header; `differs`: another one. */
  readonly sidecar: 'hard link' | 'copy' | 'differs' | 'missing';
  /** What does not agree; empty for a sound chunk. A missing sidecar is none: the data file is authoritative. */
  readonly problems: readonly KVOffloadError[];
}

/** @param path - a data file's absolute path */
export async function inspectChunk(transfer: Transfer, path: string): Promise<ChunkInspection> {
  const sidecarPath = path + SIDECAR_SUFFIX;
  const outcomes = await transfer.run(planLoads([headerOnly(path), headerOnly(sidecarPath)], []));
  const data = outcomes.outcome(0);
  if (data === 'absent') throw new KVOffloadError('KVO_NOT_FOUND', `no file at ${path}`);
  if (data !== 'done' && data !== 'size-mismatch') throw outcomes.error(0);
  const fileBytes = data === 'done' ? HEADER_BYTES : outcomes.bytes(0);
  const problems: KVOffloadError[] = [];
  const header = decoded(outcomes.headers, path, problems);
  const named = namedBy(path, header?.kind);
  const { key } = named;
  const disagree = (what: string) => problems.push(new KVOffloadError('KVO_CHUNK_CORRUPT', `${path}: ${what}`));
  if (header !== undefined && fileBytes !== HEADER_BYTES + header.payloadBytes) {
    disagree(`the file has ${fileBytes} bytes, its header says ${HEADER_BYTES + header.payloadBytes}`);
  }
  if (header?.extras?.key !== undefined && key !== undefined && header.extras.key !== key) {
    disagree(`the file's name is that of ${key}, its header says ${header.extras.key}`);
  }
  const sidecar =
    outcomes.outcome(1) === 'absent' ? 'missing' : await compareSidecar(outcomes.headers, path, sidecarPath);
  if (sidecar === 'differs') disagree('its sidecar has another header; the data file counts');
  return { path, ...named, fileBytes, ...(header && { header }), sidecar, problems };
}

function decoded(headers: Uint8Array, path: string, problems: KVOffloadError[]): DecodedHeader | undefined {
  try {
    return decodeHeader(headers, 0, path);
  } catch (error) {
    if (!(error instanceof KVOffloadError)) throw error;
    problems.push(error);
    return undefined;
  }
}

async function compareSidecar(headers: Uint8Array, path: string, sidecar: string): Promise<ChunkInspection['sidecar']> {
  const [data, beside] = await Promise.all(
    [path, sidecar].map((file) => stat(file, { bigint: true }).catch(() => undefined)),
  );
  if (data !== undefined && data.ino === beside?.ino && data.dev === beside.dev) return 'hard link';
  const halves = [headers.subarray(0, HEADER_BYTES), headers.subarray(HEADER_BYTES, 2 * HEADER_BYTES)] as const;
  return Buffer.compare(halves[0], halves[1]) === 0 ? 'copy' : 'differs';
}
