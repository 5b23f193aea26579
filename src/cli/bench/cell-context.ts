/** What a cell of the sweep is, and what all of them share. */
import type { TransportInfo } from '../../store/transport.js';
import type { Link } from './gpu.js';
import type { PlainGpuOptions } from './plain-gpu.js';
import type { ChunkPreset } from './presets.js';

export interface Cell {
  readonly preset: ChunkPreset;
  readonly chunks: number;
  readonly threads: number;
  /** Chunks a call. */
  readonly depth: number;
  readonly direct: boolean;
  readonly sums: boolean;
}

/** What cells with a GPU's memory share. */
export interface CellGpu {
  readonly link: Link;
  /** plain_gpu, where there is one. */
  readonly plain: PlainGpuOptions | undefined;
  /** The same where cuFile by itself moves files there. */
  readonly cufile: PlainGpuOptions | undefined;
}

/** What every cell shares. */
export interface CellContext {
  readonly directory: string;
  readonly repeats: number;
  readonly operations: ReadonlySet<string>;
  /** Peers and ceilings that there are. */
  readonly plainIo: string | undefined;
  readonly fio: boolean;
  readonly nodePeers: boolean;
  /** Undefined: chunks lie in host memory. */
  readonly gpu: CellGpu | undefined;
  /** Settings of `kv_offload` that win over the configured ones. */
  readonly own: Readonly<Record<string, unknown>>;
  /** Told how an engine that is measured moves bytes. */
  readonly opened: (transport: TransportInfo) => void;
  /** Whether to measure cold reads too, where they can be made. */
  readonly cold: boolean;
  readonly idleP99: number;
  readonly signal: AbortSignal;
  /** True once such a part, 0 to 1, of the cell's time is used up: it then goes on after the repeat that it is at. */
  readonly late: (part: number) => boolean;
  readonly note: (text: string) => void;
  readonly step: () => void;
}
