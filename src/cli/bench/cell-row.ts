/** A row of a cell. */
import type { Cell } from './cell-context.js';
import type { Row } from './schema.js';
import { spreadOf } from './statistics.js';
import type { Way } from './ways.js';

/** What every row has. */
export function rowOf(
  operation: Row['operation'],
  by: Row['by'],
  cache: Row['cache'],
  cell: Cell,
  { transport: taken, io }: Way,
  values: readonly number[],
): Row {
  const { preset, chunks, threads, depth } = cell;
  const sums = by === 'kv-offload' && cell.sums;
  const onGpu = taken !== 'host';
  const transport = transportOf(by, taken);
  // Sums tell apart our rows alone, but each of them has its own pairs with the others.
  const marks = [`t${threads}`, `d${depth}`, io, cell.sums ? 'sums' : 'no-sums', cache, ...(onGpu ? [taken] : [])];
  return {
    id: [operation, by, preset.name, `x${chunks}`, ...marks].join('/'),
    operation,
    by,
    chunk: preset.name,
    chunkBytes: preset.chunkBytes,
    chunks,
    threads,
    depth,
    io,
    sums,
    transport,
    cache,
    unit: 'GB/s',
    values: [...values],
    ...spreadOf(values),
  };
}

/** What moved the bytes: of those who end in host memory, nothing that has a name. */
function transportOf(by: Row['by'], taken: string): string {
  if (by === 'cufile') return 'cufile';
  return taken !== 'host' || by === 'kv-offload' ? taken : 'none';
}
