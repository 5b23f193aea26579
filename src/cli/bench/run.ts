/** One run: asks for room, measures cell by cell until time is up, and sums it up in a report. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, deviceNumber, loadConfig } from '../../config/index.js';
import { KVOffloadError } from '../../errors.js';
import { KVCacheEngine } from '../../store/engine.js';
import type { TransportInfo } from '../../store/transport.js';
import { Progress } from '../progress.js';
import type { Cell, CellContext } from './cell-context.js';
import { measureCell, stepsOf } from './cell.js';
import { describeGpu, measureLink } from './gpu.js';
import { PEER_RUNS, peerRows } from './gpu-peer-rows.js';
import { measureLookup } from './lookup-row.js';
import { describeVersions } from './machine.js';
import { measureMemcpy } from './memcpy.js';
import { idleDelayP99 } from './meters.js';
import { reportOf } from './report.js';
import type { Report, Row } from './schema.js';
import { spreadOf } from './statistics.js';
import { type SweepOptions, cellsOf, fromSettings, gpuNeedsOf, needsOf } from './sweep.js';
import { contendersOf, findCufile, findGpuTools, findTools } from './tools.js';
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
  /** Where chunks lie: `cpu`, `cuda`, `cuda:N`. Default: the settings'. */
  readonly device: string | undefined;
  /** How they move to and from a GPU. Default: the settings'. */
  readonly transport: Config['transport'] | undefined;
  /** The Python that has LMCache, KvikIO and NIXL, or some of them. */
  readonly python: string | undefined;
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
  const own = {
    ...(options.device !== undefined && { device: options.device }),
    ...(options.transport !== undefined && { transport: options.transport }),
  };
  const config = await loadConfig({ overrides: { extra_config: { kv_offload: own } } });
  const onGpu = deviceNumber(config.device) !== undefined;
  if (!onGpu) refuseForHost(options);
  const parent = options.path ?? tmpdir();
  const sweepFor = (gds: boolean) => cellsOf({ ...fromSettings(config, gds), ...options.sweep });
  let cells = sweepFor(false);
  const notes: string[] = [];
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text);
  };
  const tools = onGpu ? await findGpuTools(config, options, note) : await findTools(options.peers, note);
  const needs = onGpu
    ? gpuNeedsOf([...cells, ...sweepFor(true)], repeats, config, {
        plain: tools.plainGpu !== undefined,
        python: options.python !== undefined,
        mix: operations.has('mix'),
      })
    : needsOf(cells, repeats, contendersOf(options.peers, tools), operations.has('mix'));
  await requireRoom(parent, needs);
  await options.announce(announcement(parent, cells.length, needs, options.budget));

  const rows: Row[] = [];
  let engine: TransportInfo | undefined;
  const transport = await inWorkspace(parent, async (directory) => {
    const sizes = [...new Map(cells.map(({ preset, chunks }) => [preset.name, { preset, chunks }])).values()];
    const peerSteps = options.python === undefined ? 0 : sizes.length * PEER_RUNS;
    const progress = new Progress('bench', cells.length * stepsOf(options) + 2 + peerSteps);
    const step = () => {
      progress.advance(1);
    };
    try {
      const probed = await probeTransport(directory, cells[0], own);
      // As an engine's own defaults: they depend on whether cuFile moves bytes.
      if (probed.kind === 'gds') cells = withoutTwins(sweepFor(true), note);
      const link = onGpu ? await measureLink(config, repeats) : undefined;
      rows.push(...(link?.rows ?? (await ceilings(cells, repeats))));
      step();
      if (operations.has('lookup')) {
        const threads = cells[0]?.threads ?? 1;
        const { plainIo } = tools;
        rows.push(
          ...(await measureLookup({ directory: join(directory, 'lookup'), threads, repeats, plainIo, signal })),
        );
      }
      step();
      const opened = (transport: TransportInfo) => {
        engine ??= transport;
      };
      const shared = { directory, repeats, operations, ...tools, own, cold: options.cold, signal, note, opened };
      const plain = tools.plainGpu;
      const gpu = link && { link, plain, cufile: plain && (await findCufile(plain, directory, note)) };
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
        const context: CellContext = { ...shared, gpu, nodePeers: options.peers && !onGpu, idleP99, late, step };
        if (operations.size > 1 || !operations.has('lookup')) rows.push(...(await measureCell(cell, context)));
      }
      if (link !== undefined && options.python !== undefined) {
        const late = () => performance.now() > deadline;
        rows.push(
          ...(await measurePeers(options.python, {
            config,
            directory,
            sizes,
            repeats,
            link,
            signal,
            late,
            note,
            step,
          })),
        );
      }
      return engine ?? probed;
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
      'fio uses one buffer a thread and overwrites files that exist, which flatters it against those who write new files from memory of their own; fio-new makes them too',
    );
  }
  return {
    ...reportOf({ command: options.command, startedAt, parent, rows, notes, needs, budget: options.budget }),
    versions: { ...describeVersions(), ...(tools.version !== undefined && { fio: tools.version }) },
    transport: describeTransport(transport),
    settings: settingsOf(config, repeats, cells),
    device: describeGpu(transport),
  };
}

/** @throws KVOffloadError `KVO_ARGUMENT_INVALID` for what is about a GPU alone */
function refuseForHost({ transport, python }: RunOptions): void {
  const [option] = [transport === undefined ? [] : ['--transport'], python === undefined ? [] : ['--peers']].flat();
  if (option === undefined) return;
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    `${option} is about chunks in a GPU's memory, and the device is cpu; give --device cuda`,
  );
}

/** cuFile opens files with O_DIRECT in any case. */
function withoutTwins(cells: readonly Cell[], note: (text: string) => void): Cell[] {
  const [first] = cells;
  const own = cells.filter(({ direct }) => direct === first?.direct);
  if (own.length < cells.length) note('buffered and direct were measured once: with cuFile they are the same');
  return own;
}

async function measurePeers(
  python: string,
  { config, ...options }: Omit<Parameters<typeof peerRows>[0], 'python' | 'index'> & { readonly config: Config },
): Promise<Row[]> {
  return peerRows({ ...options, python, index: deviceNumber(config.device) ?? 0 });
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
async function probeTransport(
  directory: string,
  cell: Cell | undefined,
  own: Readonly<Record<string, unknown>>,
): Promise<TransportInfo> {
  const overrides = {
    weka_path: join(directory, 'probe'),
    cufile_buffer_size: 1,
    chunk_size: 256,
    use_layerwise: false,
  };
  const model = { modelName: 'bench', kvDtype: 'uint8', useMla: true, kvShape: [1, 1, 256, 1, 1] as const };
  const extra = { ...(cell && { use_direct_io: cell.direct }), extra_config: { kv_offload: own } };
  await using engine = await KVCacheEngine.open(await loadConfig({ overrides: { ...overrides, ...extra } }), model);
  return engine.transport;
}

function describeTransport({ kind, reason, io: [io] }: TransportInfo): Report['transport'] {
  return { kind, reason, io: io?.mode ?? 'buffered', ioReason: io?.reason ?? '' };
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
    ...(config.device !== 'cpu' && { device: config.device, transport: config.transport }),
    hashAlgorithm: config.preCachingHashAlgorithm,
    uvThreadpoolSize: process.env['UV_THREADPOOL_SIZE'] ?? 'default, 4',
  };
}

function announcement(parent: string, cells: number, needs: Needs, budget: number): string {
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;
  const combinations = cells === 1 ? 'one combination' : `${cells} combinations`;
  return (
    `${combinations}: at most ${mib(needs.diskBytes)} at a time below ${parent} and ${mib(needs.memoryBytes)} of memory` +
    `${needs.deviceBytes === undefined ? '' : ` and ${mib(needs.deviceBytes)} of the GPU's`}, ` +
    `no new repeat after ${budget} s; all is removed at the end\n`
  );
}
