/** What a run will measure, and what it takes at most: said before anything is written. */
import type { Config } from '../../config/index.js';
import { threadsFor } from '../../store/options.js';
import type { Cell } from './cell-context.js';
import { COPY_MEMORY } from './gpu.js';
import { LOOKUP_FILES } from './lookup-row.js';
import { memcpyMemory } from './memcpy.js';
import { patternMemory, slotMemory } from './ours.js';
import type { ChunkPreset } from './presets.js';
import type { Needs } from './workspace.js';

const HEADER = 4096;
/** Directories of a cache, beside its files. */
const DIRECTORIES = 2000;
/** Part of the chunks that one pass of the mix adds. */
const ADDED_BY_MIX = 0.3;

export interface SweepOptions {
  readonly presets: readonly ChunkPreset[];
  /** Chunks a run; undefined: as many as `footprint` bytes are, at least 2. */
  readonly chunks: number | undefined;
  readonly footprint: number;
  readonly threads: readonly number[];
  readonly depths: readonly number[];
  readonly direct: readonly boolean[];
  readonly sums: readonly boolean[];
}

/** The defaults that come from the settings. @param gds - whether cuFile moves bytes, which changes some of them */
export function fromSettings(config: Config, gds = false): Pick<SweepOptions, 'threads' | 'direct' | 'sums'> {
  return {
    threads: [threadsFor(config, gds)],
    direct: [config.useDirectIo],
    sums: [config.checksums],
  };
}

const MOST_CHUNKS = 4096;

/** Every combination. */
export function cellsOf(options: SweepOptions): Cell[] {
  const { presets, threads, depths, direct, sums } = options;
  return presets.flatMap((preset) => {
    const fitting = Math.min(Math.max(2, Math.floor(options.footprint / preset.chunkBytes)), MOST_CHUNKS);
    const chunks = options.chunks ?? fitting;
    return direct.flatMap((isDirect) =>
      sums.flatMap((hasSums) =>
        threads.flatMap((threadCount) =>
          depths.map((depth): Cell => {
            return { preset, chunks, threads: threadCount, depth, direct: isDirect, sums: hasSums };
          }),
        ),
      ),
    );
  });
}

/** The room that the largest cell takes. */
export function needsOf(cells: readonly Cell[], repeats: number, peers: number, mix: boolean): Needs {
  const needs = cells.map(({ preset, chunks, threads, direct }) => {
    const payload = chunks * preset.chunkBytes;
    const ours = chunks * (preset.chunkBytes + HEADER) * (mix ? 1 + ADDED_BY_MIX * (repeats + 1) : 1);
    // Those of Node's own hold a buffer for each file, and so does the plain loop.
    const buffers = peers === 0 || direct ? 1 : 3;
    return {
      diskBytes: ours + peers * chunks * (preset.chunkBytes + HEADER),
      memoryBytes:
        slotMemory(preset, chunks) + patternMemory(preset, chunks) + buffers * payload + memcpyMemory(threads),
      files: Math.ceil(chunks * (2 + peers + (repeats + 1) * ADDED_BY_MIX)) + LOOKUP_FILES + DIRECTORIES,
    };
  });
  const most = (pick: (need: Needs) => number) => Math.ceil(Math.max(...needs.map(pick)));
  return { diskBytes: most((n) => n.diskBytes), memoryBytes: most((n) => n.memoryBytes), files: most((n) => n.files) };
}

/** Two stages a thread, of ours and of plain_gpu. */
const STAGES = 2;
/** What LMCache's buffer has beyond the chunks, and torch's own. */
const PEER_SLACK = 512 * 2 ** 20;

/** The same where chunks lie in a GPU's memory. @param python - whether LMCache, KvikIO and NIXL run too */
export function gpuNeedsOf(
  cells: readonly Cell[],
  repeats: number,
  config: Config,
  { plain, python, mix }: { readonly plain: boolean; readonly python: boolean; readonly mix: boolean },
): Needs {
  const needs = cells.map(({ preset, chunks, threads }) => {
    const payload = chunks * preset.chunkBytes;
    const files = chunks * (preset.chunkBytes + HEADER);
    const pinned = STAGES * threads * config.sliceMiB * 2 ** 20;
    const slots = slotMemory(preset, chunks);
    // Old files are emptied and stay: those of every run, of single-chunk calls too, each with a sidecar's.
    // It takes turns as plain C++, and as cuFile by itself.
    const rivals = plain ? 2 : 0;
    const asides = 2 * chunks * (2 * repeats + 3) + rivals * chunks * (repeats + 3);
    return {
      diskBytes: files * (mix ? 1 + ADDED_BY_MIX * (repeats + 1) : 1) + rivals * files + (python ? 2 * files : 0),
      memoryBytes:
        patternMemory(preset, chunks) +
        preset.chunkBytes +
        pinned +
        Math.max(rivals, 1) * Math.max(pinned, COPY_MEMORY),
      deviceBytes: Math.max(slots + rivals * payload, python ? payload + PEER_SLACK : 0, COPY_MEMORY),
      files: Math.ceil(asides + chunks * (repeats + 1) * ADDED_BY_MIX + (python ? 3 * chunks * (repeats + 3) : 0)),
    };
  });
  const most = (pick: (need: Required<Needs>) => number) => Math.ceil(Math.max(...needs.map(pick)));
  return {
    diskBytes: most((n) => n.diskBytes),
    memoryBytes: most((n) => n.memoryBytes),
    deviceBytes: most((n) => n.deviceBytes),
    // No cell's files are deleted before the end.
    files: needs.reduce((all, one) => all + one.files, 0) + LOOKUP_FILES + DIRECTORIES,
  };
}
