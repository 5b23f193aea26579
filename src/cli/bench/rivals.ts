/** Who takes turns with ours in a cell. */
import { join } from 'node:path';
import type { Cell, CellContext } from './cell-context.js';
import { type Contender, fio, nodePeer, plainCpp, plainCppGpu } from './contenders.js';
import type { Row } from './schema.js';
import type { Ways } from './ways.js';

/** Direct I/O wants lengths that are multiples of it. */
const SECTOR = 4096;

/** Node has no way to give fs.promises aligned memory, so that direct I/O has no peers of Node's own. */
export function hostRivals(cell: Cell, context: CellContext): Contender[] {
  const { preset, chunks, threads, direct } = cell;
  const load = (by: Row['by']) => {
    return { directory: join(context.directory, by), files: chunks, bytes: preset.chunkBytes, threads, direct };
  };
  const aligned = !direct || preset.chunkBytes % SECTOR === 0;
  return [
    ...(context.plainIo !== undefined && aligned ? [plainCpp(context.plainIo, load('plain-cpp'))] : []),
    ...(context.fio && aligned ? (['fio', 'fio-new'] as const).map((by) => fio(by, load(by), context.signal)) : []),
    ...(context.nodePeers && !direct
      ? (['fs-promises', 'file-handle'] as const).map((by) => nodePeer(by, load(by)))
      : []),
  ];
}

/** plain_gpu reads and writes through the page cache, so that it is held against nothing else. */
export function gpuRivals(cell: Cell, { store, retrieve }: Ways, context: CellContext): Contender[] {
  const { preset, chunks, threads, direct } = cell;
  const plain = context.gpu?.plain;
  if (plain === undefined) return [];
  if ([store, retrieve].some(({ transport, io }) => transport !== 'staged' || io === 'direct')) {
    context.note('no plain C++ rows beside gds or O_DIRECT: it goes through the page cache');
    return [];
  }
  const directory = join(context.directory, 'plain-cpp');
  return [plainCppGpu(plain, { directory, files: chunks, bytes: preset.chunkBytes, threads, direct })];
}
