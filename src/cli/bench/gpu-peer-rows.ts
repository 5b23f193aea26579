/** Rows of LMCache, KvikIO and NIXL beside ours: the same chunk sizes and numbers, each peer by itself. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Link, linkRatio } from './gpu.js';
import { PEERS, type PeerFigures, peerEnvironment, runPeer } from './gpu-peers.js';
import type { ChunkPreset } from './presets.js';
import type { Row } from './schema.js';
import { truncateBelow } from './set-aside.js';
import { spreadOf } from './statistics.js';

/** Chunks of LMCache are tensors of 256 tokens, two of K and V, two bytes each. */
const MULTIPLE = 1024;

/** One that hangs is ended. */
const TIMEOUT_MS = 300_000;

/** How many runs of a peer there are for each chunk size. */
export const PEER_RUNS = PEERS.length;

export interface PeerRowsOptions {
  readonly python: string;
  /** The GPU's number. */
  readonly index: number;
  readonly directory: string;
  readonly sizes: readonly { readonly preset: ChunkPreset; readonly chunks: number }[];
  readonly repeats: number;
  readonly link: Link;
  readonly signal: AbortSignal;
  /** True once no further peer may begin. */
  readonly late: () => boolean;
  readonly note: (text: string) => void;
  readonly step: () => void;
}

/** Their rows; what cannot run here is said in a note. */
export async function peerRows(options: PeerRowsOptions): Promise<Row[]> {
  const { python, sizes, note, step } = options;
  const found = await peerEnvironment(python, options.index);
  if ('missing' in found) {
    note(`no rows of LMCache, KvikIO and NIXL: ${found.missing}`);
    return [];
  }
  const directory = join(options.directory, 'peers');
  mkdirSync(directory);
  const rows: Row[] = [];
  for (const { preset, chunks } of sizes) {
    if (preset.chunkBytes % MULTIPLE !== 0) {
      note(`no rows of LMCache, KvikIO and NIXL for ${preset.name}: they want multiples of ${MULTIPLE} bytes`);
      continue;
    }
    for (const { peer, threads } of PEERS) {
      const what = `${peer} with ${threads} threads, ${preset.name}`;
      if (options.late()) note(`no rows of ${what}: the time was over; give more with --seconds`);
      else {
        const run = { peer, threads, directory, bytes: preset.chunkBytes, files: chunks, repeats: options.repeats };
        for (const answer of await runPeer(python, run, {
          env: found.env,
          signal: options.signal,
          timeoutMs: TIMEOUT_MS,
        })) {
          if ('what' in answer) rows.push(rowOf(answer, preset, chunks, options.link));
          else note(`no rows of ${what}: ${answer.skipped ?? answer.failed ?? 'it did not say why'}`);
        }
      }
      step();
    }
    truncateBelow(directory);
  }
  if (rows.length > 0) {
    note(
      'LMCache, KvikIO and NIXL ran one after the other, not in turn with ours, with threads that suit each; NIXL’s files were open and registered beforehand',
    );
  }
  return rows;
}

function rowOf(answer: PeerFigures, preset: ChunkPreset, chunks: number, link: Link): Row {
  const { peer, threads, verified } = answer;
  const values = [...answer.values];
  const operation = answer.what === 'load' ? 'retrieve' : 'store';
  const by = peer === 'kvikio' || peer === 'nixl' ? peer : 'lmcache';
  const cache = operation === 'store' ? 'none' : 'warm';
  return {
    id: [operation, peer, preset.name, `x${chunks}`, `t${threads}`, cache].join('/'),
    operation,
    by,
    chunk: preset.name,
    chunkBytes: preset.chunkBytes,
    chunks,
    threads,
    depth: chunks,
    io: 'none',
    sums: false,
    transport: peer === 'lmcache-gds' || peer === 'nixl' ? 'cufile' : 'posix',
    cache,
    unit: 'GB/s',
    values,
    ...spreadOf(values),
    ratios: linkRatio(link, operation, values),
    cpuSecondsPerGiB: answer.cpu,
    verified: verified === true,
    details: { peer, ...(answer.note !== undefined && { note: answer.note }) },
  };
}
