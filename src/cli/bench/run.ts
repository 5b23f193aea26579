/** One run: asks for room, measures cell by cell until time is up, and sums it up in a report. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../config/index.js';
import { KVCacheEngine } from '../../store/engine.js';
import { Progress } from '../progress.js';
import { type Cell, type CellContext, measureCell, stepsOf } from './cell.js';
import { fioVersion } from './contenders.js';
import { measureLookup } from './lookup-row.js';
import { describeVersions } from './machine.js';
import { measureMemcpy } from './memcpy.js';
import { idleDelayP99 } from './meters.js';
import { findPlainIo } from './plain-io.js';
import { reportOf } from './report.js';
import type { Report, Row } from './schema.js';
import { spreadOf } from './statistics.js';
import { type SweepOptions, cellsOf, fromSettings, needsOf } from './sweep.js';
import { type Needs, inWorkspace, requireRoom } from './workspace.js';

const IDLE_MS = 200;

type FromSettings = 'threads' | 'direct' | 'sums';

export interface RunOptions {
  /** What the settings decide where it is left out. */
  readonly sweep: Omit<SweepOptions, FromSettings> & Partial<Pick<SweepOptions, FromSettings>>;
  /** Where the temporary directory is made. Default: the system's place for such. */
  readonly path: string | undefined;
  readonly operations: ReadonlySet<string>;
  readonly repeats: number;
  /** Seconds after which no further cell or repeat is begun. */
  readonly budget: number;
  readonly peers: boolean;
  readonly cold: boolean;
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  /** Told what the run will take, before it takes it. */
  readonly announce: (text: string) => Promise<void>;
}

/** Measures. Rejects when its signal fires; the directory is removed in any case. */
export async function runBench(options: RunOptions): Promise<Report> {
  const { signal, repeats, operations } = options;
  const startedAt = new Date();
  const began = performance.now();
  const config = await loadConfig();
  const parent = options.path ?? tmpdir();
  const cells = cellsOf({ ...fromSettings(config), ...options.sweep });
  const notes: string[] = [];
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text);
  };
  const tools = await findTools(options.peers, note);
  const peers = (options.peers ? 2 : 0) + (tools.plainIo === undefined ? 0 : 1) + (tools.fio ? 1 : 0);
  const needs = needsOf(cells, repeats, peers, operations.has('mix'));
  await requireRoom(parent, needs);
  await options.announce(announcement(parent, cells.length, needs, options.budget));

  const rows: Row[] = [];
  const describing = await inWorkspace(parent, async (directory) => {
    const progress = new Progress('bench', cells.length * stepsOf(options) + 2);
    try {
      const transport = await describeTransport(directory, cells[0]);
      rows.push(...(await ceilings(cells, repeats)));
      progress.advance(1);
      if (operations.has('lookup')) {
        const threads = cells[0]?.threads ?? 1;
        rows.push(
          ...(await measureLookup({ directory: join(directory, 'lookup'), threads, repeats, ...tools, signal })),
        );
      }
      progress.advance(1);
      const shared = { directory, repeats, operations, ...tools, cold: options.cold, signal, note };
      const idleP99 = await idleDelayP99(IDLE_MS);
      const deadline = began + options.budget * 1000;
      for (const [i, cell] of cells.entries()) {
        if (i > 0 && performance.now() > deadline) {
          note(
            `${cells.length - i} of ${cells.length} combinations were left out: the ${options.budget} s were over; give more with --seconds`,
          );
          break;
        }
        const from = performance.now();
        const share = Math.max(deadline - from, 0) / (cells.length - i);
        const late = (part: number) => performance.now() > from + share * part;
        const step = () => {
          progress.advance(1);
        };
        const context: CellContext = { ...shared, nodePeers: options.peers, idleP99, late, step };
        if (operations.size > 1 || !operations.has('lookup')) rows.push(...(await measureCell(cell, context)));
      }
      return { transport };
    } finally {
      progress.end();
    }
  });
  if (
    rows.some(
      (row) => row.by === 'kv-offload' && row.unit === 'GB/s' && row.values.length < repeats && row.cache !== 'cold',
    )
  ) {
    note('some rows have fewer repeats than asked for: time ran out; give more with --seconds');
  }
  if (rows.some(({ by }) => by === 'fio')) {
    note(
      'fio uses one buffer a thread and overwrites files that exist, which flatters it against those who write new files from memory of their own',
    );
  }
  return {
    ...reportOf({ command: options.command, startedAt, parent, rows, notes, needs, budget: options.budget }),
    versions: { ...describeVersions(), ...(tools.version !== undefined && { fio: tools.version }) },
    transport: describing.transport,
    settings: settingsOf(config, repeats, cells),
  };
}

interface Tools {
  readonly plainIo: string | undefined;
  readonly fio: boolean;
  readonly version: string | undefined;
}

async function findTools(peers: boolean, note: (text: string) => void): Promise<Tools> {
  if (!peers) {
    note('no ceilings but memcpy and no peers: --no-peers was given');
    return { plainIo: undefined, fio: false, version: undefined };
  }
  const plain = await findPlainIo();
  if ('missing' in plain) note(`no plain C++ rows: ${plain.missing}`);
  const version = await fioVersion();
  if (version === undefined) note('no fio rows: fio is not installed');
  return { plainIo: 'program' in plain ? plain.program : undefined, fio: version !== undefined, version };
}

async function ceilings(cells: readonly Cell[], repeats: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const threads of new Set(cells.map((cell) => cell.threads))) {
    const values = await measureMemcpy(threads, repeats);
    rows.push({
      id: `memcpy/memcpy/t${threads}`,
      operation: 'memcpy',
      by: 'memcpy',
      chunk: '64MiB',
      chunkBytes: 64 * 2 ** 20,
      chunks: threads,
      threads,
      depth: 1,
      io: 'none',
      sums: false,
      transport: 'none',
      cache: 'none',
      unit: 'GB/s',
      values,
      ...spreadOf(values),
    });
  }
  return rows;
}

/** Asked of a real engine: the settings alone do not decide. */
async function describeTransport(directory: string, cell: Cell | undefined): Promise<Report['transport']> {
  const overrides = {
    weka_path: join(directory, 'probe'),
    cufile_buffer_size: 1,
    chunk_size: 256,
    use_layerwise: false,
  };
  const model = { modelName: 'bench', kvDtype: 'uint8', useMla: true, kvShape: [1, 1, 256, 1, 1] as const };
  const direct = cell === undefined ? {} : { use_direct_io: cell.direct };
  await using engine = await KVCacheEngine.open(await loadConfig({ overrides: { ...overrides, ...direct } }), model);
  const [io] = engine.transport.io;
  return {
    kind: engine.transport.kind,
    reason: engine.transport.reason,
    io: io?.mode ?? 'buffered',
    ioReason: io?.reason ?? '',
  };
}

function settingsOf(config: Config, repeats: number, cells: readonly Cell[]): Report['settings'] {
  const [first] = cells;
  return {
    repeats,
    chunks: first?.chunks ?? 0,
    chunkBytes: first?.preset.chunkBytes ?? 0,
    ioThreads: config.ioThreads,
    sliceMiB: config.sliceMiB,
    useDirectIo: config.useDirectIo,
    checksums: config.checksums,
    sync: config.sync,
    hashAlgorithm: config.preCachingHashAlgorithm,
    uvThreadpoolSize: process.env['UV_THREADPOOL_SIZE'] ?? 'default, 4',
  };
}

function announcement(parent: string, cells: number, needs: Needs, budget: number): string {
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;
  const combinations = cells === 1 ? 'one combination' : `${cells} combinations`;
  return (
    `${combinations}: at most ${mib(needs.diskBytes)} at a time below ${parent} and ${mib(needs.memoryBytes)} of memory, ` +
    `no new repeat after ${budget} s; all is removed at the end\n`
  );
}
