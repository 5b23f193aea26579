/** A report on the terminal. */
import { table } from '../output.js';
import type { Report, Row } from './schema.js';

/** Tables and remarks. */
export function showReport(report: Report): string {
  const { machine, filesystem, transport, versions, settings, device } = report;
  const head = [
    `${machine.cores} × ${machine.cpu}, ${machine.system} ${machine.kernel}, Node ${versions['node'] ?? ''}, kv-offload ${versions['kv-offload'] ?? ''}`,
    `${filesystem.path} on ${filesystem.mount} (${filesystem.type}, ${filesystem.options.join(',')})`,
    `${transport.kind}: ${transport.reason}; ${transport.io} I/O: ${transport.ioReason}${settings['sync'] === undefined ? '' : `; sync ${String(settings['sync'])}`}`,
    ...(device === null ? [] : [deviceText(device)]),
    ...(machine.loadAverage > machine.cores / 2
      ? [`others were at work: load ${machine.loadAverage.toFixed(1)} on ${machine.cores} cores`]
      : []),
  ];
  const parts = [
    `${head.join('\n')}\n`,
    throughputTable(report.rows),
    costTable(report.rows),
    lookupTable(report.rows),
  ];
  if (report.notes.length > 0) parts.push(report.notes.map((text) => `- ${text}\n`).join(''));
  return parts.filter((part) => part !== '').join('\n');
}

/** `cuda:0 NVIDIA H200 (141 GiB), CUDA 13.0; reads staged, cufile 1.15, …` */
export function deviceText({ kind, name, memoryBytes, driver, details }: NonNullable<Report['device']>): string {
  const more = Object.entries(details).map(([what, text]) => `${what} ${text}`);
  return `${kind} ${name} (${figure(memoryBytes / 2 ** 30)} GiB), ${driver}; ${more.join(', ')}`;
}

/** What a row moved by which path: bytes by the engine's counters, and with a GPU chunks by what each said. */
export function pathText({ path }: Row): string {
  if (path === undefined) return '';
  const bytes = [path.directBytes, path.bufferedBytes, path.deviceBytes].join('/');
  const via = Object.entries(path.via ?? {}).map(([way, chunks]) => `${chunks} ${way}`);
  const { readsPosix = 0, writesPosix = 0 } = path.cufile ?? {};
  if (readsPosix + writesPosix > 0) via.push(`${readsPosix + writesPosix} POSIX calls in cuFile`);
  return via.length === 0 ? bytes : `${bytes} (${via.join(', ')})`;
}

/** `1.23 [1.10, 1.31]` */
export function spreadText({ median, least, greatest }: Pick<Row, 'median' | 'least' | 'greatest'>): string {
  return `${figure(median)} [${figure(least)}, ${figure(greatest)}]`;
}

function shortly({ chunk, chunks, threads, depth }: Row): string {
  return `${chunk} × ${chunks}, t${threads} d${depth}`;
}

function whatOf(row: Row): string {
  if (row.by === 'pinned-copy') return row.chunk;
  if (row.operation === 'memcpy') return `${row.threads} threads`;
  const peer = row.details?.['peer'];
  return `${shortly(row)}${processesOf(row)}${peer === undefined || peer === row.by ? '' : `, ${peer}`}`;
}

function processesOf({ details }: Row): string {
  return details?.['processes'] === undefined ? '' : `, ${details['processes']} processes`;
}

/** Three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function throughputTable(rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.unit === 'GB/s');
  if (shown.length === 0) return '';
  const others = ['pinned-copy', 'plain-cpp', 'cufile', 'fio', 'fio-new', 'fs-promises', 'file-handle'].filter((by) =>
    shown.some((row) => row.ratios?.[by]),
  );
  const lines = shown.map((row) => [
    row.operation,
    row.by,
    whatOf(row),
    [row.transport === 'host' ? '' : row.transport, row.io, row.cache, row.sums ? 'sums' : '']
      .filter((word) => word !== '' && word !== 'none')
      .join(' '),
    spreadText(row),
    ...others.map((by) => {
      const ratio = row.ratios?.[by];
      return ratio === undefined ? '' : ratio.median.toFixed(2);
    }),
  ]);
  const heads = ['', 'by', 'chunks', '', 'GB/s', ...others.map((by) => `÷ ${by}`)];
  return table([heads, ...lines], [4, 5, 6, 7, 8]);
}

function costTable(rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.by === 'kv-offload' && (row.latency ?? row.cpuSecondsPerGiB) !== undefined);
  if (shown.length === 0) return '';
  const lines = shown.map((row) => [
    row.operation,
    `${row.chunk}, t${row.threads} d${row.depth}`,
    row.latency === undefined ? '' : String(row.latency.count),
    row.cache === 'none' ? row.io : `${row.io} ${row.cache}`,
    ...[row.latency?.p50, row.latency?.p99, row.latency?.p999].map((us) => (us === undefined ? '' : figure(us))),
    row.cpuSecondsPerGiB === undefined ? '' : figure(row.cpuSecondsPerGiB),
    row.bytesInFlight === undefined ? '' : figure(row.bytesInFlight / 2 ** 20),
    row.eventLoopDelayMs === undefined
      ? ''
      : `${figure(row.eventLoopDelayMs.p99)} (${figure(row.eventLoopDelayMs.idleP99)})`,
    pathText(row),
    row.verified === true ? 'yes' : '',
  ]);
  const heads = [
    '',
    'chunks',
    'calls',
    '',
    'p50 µs',
    'p99',
    'p99.9',
    'CPU s/GiB',
    'MiB in flight',
    'loop p99 ms (idle)',
  ];
  return table([[...heads, 'bytes direct/buffered/device', 'verified'], ...lines], [2, 4, 5, 6, 7, 8, 9, 10]);
}

function lookupTable(rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.operation === 'open' || (row.operation === 'lookup' && row.unit === 'ms'));
  if (shown.length === 0) return '';
  const lines = shown.map((row) => {
    const { hashingMs, memoryMiB } = row.details ?? {};
    const hashing = typeof hashingMs === 'number' ? `${figure(hashingMs)} of it` : '';
    const memory = typeof memoryMiB === 'number' ? `${figure(memoryMiB)} MiB of memory` : hashing;
    return [row.operation, row.by, row.chunk, spreadText(row), memory];
  });
  return table([['', 'by', 'chunks', 'ms', 'hashing'], ...lines], [3]);
}
