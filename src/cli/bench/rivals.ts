/** Who takes turns with ours in a cell. */
import { join } from 'node:path';
import type { Cell, CellContext } from './cell-context.js';
import { type Contender, fio, nodePeer, plainCpp, plainGpu } from './contenders.js';
import type { Row } from './schema.js';
import type { Ways } from './ways.js';

/** Direct I/O wants lengths that are multiples of it. */
const SECTOR = 4096;

/** Node has no way to give fs.promises aligned memory, so that direct I/O has no peers of Node's own. */
export function hostRivals(cell: Cell, context: CellContext): Contender[] {
  const { preset, chunks, threads, depth, direct } = cell;
  const load = (by: Row['by']) => {
    return { directory: join(context.directory, by), files: chunks, bytes: preset.chunkBytes, threads, depth, direct };
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

/** Plain C++ goes through the page cache, so that it is held against nothing else; cuFile by itself against anything. */
export function gpuRivals(cell: Cell, { store, retrieve }: Ways, context: CellContext): Contender[] {
  const { preset, chunks, threads, depth } = cell;
  const { plain, cufile } = context.gpu ?? {};
  const both = [store, retrieve];
  const direct = both.every(({ io }) => io === 'direct');
  const load = (by: Row['by']) => {
    return { directory: join(context.directory, by), files: chunks, bytes: preset.chunkBytes, threads, depth, direct };
  };
  const rivals: Contender[] = [];
  if (plain !== undefined) {
    if (both.every(({ transport, io }) => transport === 'staged' && io === 'buffered')) {
      rivals.push(plainGpu('plain-cpp', plain, load('plain-cpp')));
    } else context.note('no plain C++ rows beside gds or O_DIRECT: it goes through the page cache');
  }
  if (cufile !== undefined) rivals.push(plainGpu('cufile', cufile, load('cufile')));
  return rivals;
}
