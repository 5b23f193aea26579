/** A report as one HTML page that needs nothing else: its plots are SVG in it, no script runs, nothing is fetched. */
import { type Chart, type Series, drawChart, escapeHtml } from './chart.js';
import { sizeText } from './presets.js';
import type { Report, Row } from './schema.js';
import { deviceText, figure, pathText, spreadText } from './show.js';

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
figure{margin:1rem 0;max-width:680px}figcaption{font-weight:600}figure>svg{width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:#444}.grid{stroke:#ddd;fill:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;margin:0;font-size:.9rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;white-space:nowrap}
td,th{border-bottom:1px solid #ddd;padding:.2rem .6rem;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}
dt{font-weight:600;float:left;clear:left;width:9rem}dd{margin-left:9.5rem}
`;

export function reportHtml(report: Report): string {
  const charts = [...chartsOf(report.rows), ...replayCharts(report)].map(drawChart).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>kv-offload bench, ${escapeHtml(report.startedAt)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>kv-offload bench</h1>
${definitions(report)}
<h2>Remarks</h2>
<ul>${report.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}
<li>Points are medians, whiskers the least and greatest repeat. A ratio is the median of pairs of runs taken in turn.</li></ul>
<h2>Plots</h2>
${charts === '' ? '<p>No rows that are plotted.</p>' : charts}
<h2>All rows</h2>
<div class="scroll">${tableOf(report.rows)}</div>
<script type="application/json" id="report">${JSON.stringify(report).replaceAll('<', '\\u003c')}</script>
</body>
</html>
`;
}

function definitions({
  machine,
  versions,
  filesystem,
  transport,
  settings,
  asked,
  seconds,
  complete,
  command,
  device,
}: Report) {
  const list = (values: Readonly<Record<string, unknown>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(', ');
  const rows: [string, string][] = [
    ['Command', command.join(' ')],
    [
      'Machine',
      `${machine.cores} × ${machine.cpu}, ${figure(machine.memoryBytes / 2 ** 30)} GiB, ${machine.architecture}, load ${machine.loadAverage.toFixed(2)}`,
    ],
    ['Kernel', `${machine.system} ${machine.kernel}`],
    ['Versions', list(versions)],
    [
      'Filesystem',
      `${filesystem.path} on ${filesystem.mount}: ${filesystem.type} (${filesystem.source}), ${filesystem.options.join(',')}`,
    ],
    ['Path taken', `${transport.kind}: ${transport.reason}; ${transport.io} I/O: ${transport.ioReason}`],
    ['GPU', device === null ? 'none' : deviceText(device)],
    ['Settings', list(settings)],
    ['Took', `${seconds.toFixed(1)} s of ${asked.seconds}${complete ? '' : ', and was cut short'}`],
  ];
  return `<dl>${rows
    .filter(([, text]) => text !== '')
    .map(([term, text]) => `<dt>${term}</dt><dd>${escapeHtml(text)}</dd>`)
    .join('')}</dl>`;
}

/** Charts whose x has one value only would be dots on a line: they are drawn all the same, with their whiskers. */
function chartsOf(rows: readonly Row[]): Chart[] {
  const rates = rows.filter((row) => row.unit === 'GB/s' && row.details?.['processes'] === undefined);
  const charts: Chart[] = [];
  for (const operation of ['store', 'retrieve', 'mix'] as const) {
    const own = rates.filter((row) => row.operation === operation);
    for (const cache of new Set(own.map((row) => row.cache))) {
      const these = own.filter((row) => row.cache === cache);
      const what = cache === 'none' ? operation : `${operation}, ${cache}`;
      const ceiling = rates.filter((row) => isCeilingOf(row, operation));
      charts.push({
        title: `${what}: throughput against chunk size`,
        xLabel: 'chunk',
        yLabel: 'GB/s',
        xText: sizeText,
        series: [...seriesOf(these, ({ chunkBytes }) => chunkBytes, 'threads'), ...ceilingOf(ceiling, these)],
      });
      if (new Set(these.map((row) => row.threads)).size < 2) continue;
      charts.push({
        title: `${what}: throughput against threads`,
        xLabel: 'threads',
        yLabel: 'GB/s',
        xText: String,
        series: [...seriesOf(these, ({ threads }) => threads, 'chunk'), ...ceilingByThreads(ceiling, these)],
      });
    }
  }
  return [...charts, latencyChart(rows), ...scalingCharts(rows)];
}

/** One line for each who did it, and each value of what does not lie along x. */
function seriesOf(rows: readonly Row[], x: (row: Row) => number, apart: 'threads' | 'chunk'): Series[] {
  const several = new Set(rows.map((row) => row[apart])).size > 1;
  const nameOf = (row: Row) => {
    const mode = new Set(rows.map(({ io }) => io)).size > 1 ? `, ${row.io}` : '';
    const sums = new Set(rows.filter(({ by }) => by === row.by).map((one) => one.sums)).size > 1;
    const depth = new Set(rows.map((one) => one.depth)).size > 1 ? `, ${row.depth} a call` : '';
    const other = several ? `, ${apart === 'threads' ? `${row.threads} threads` : row.chunk}` : '';
    const peer = row.details?.['peer'] ?? row.by;
    return `${peer}${other}${depth}${mode}${sums ? `, sums ${row.sums ? 'on' : 'off'}` : ''}`;
  };
  return [...groupBy(rows, nameOf)].map(([name, those]) => ({
    name,
    points: those.map((row) => pointOf(row, x(row))),
  }));
}

/** Map.groupBy, which Node 20 lacks. */
function groupBy(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return groups;
}

/** Memory's copies; with a GPU pinned ones in the direction of the operation, both for the mix. */
function isCeilingOf({ by, chunk }: Row, operation: Row['operation']): boolean {
  if (by === 'memcpy') return true;
  if (by !== 'pinned-copy') return false;
  return operation === 'mix' || (chunk === 'from the GPU') === (operation === 'store');
}

function ceilingName({ by, chunk, threads }: Row): string {
  return by === 'pinned-copy' ? `pinned copy ${chunk}` : `memcpy, ${threads} threads`;
}

function ceilingOf(ceiling: readonly Row[], rows: readonly Row[]): Series[] {
  const x = rows[0]?.chunkBytes ?? 1;
  return ceiling.map((row) => ({ name: ceilingName(row), dashed: true, points: [{ x, y: row.median }] }));
}

/** A pinned copy is the same for any number of threads. */
function ceilingByThreads(ceiling: readonly Row[], rows: readonly Row[]): Series[] {
  const pinned = ceiling.filter((row) => row.by === 'pinned-copy');
  if (pinned.length > 0) {
    const x = Math.min(...rows.map((row) => row.threads));
    return pinned.map((row) => ({ name: ceilingName(row), dashed: true, points: [{ x, y: row.median }] }));
  }
  return [{ name: 'memcpy', dashed: true, points: ceiling.map((row) => pointOf(row, row.threads)) }];
}

function pointOf({ median, least, greatest }: Row, x: number) {
  return { x, y: median, least, greatest };
}

function latencyChart(rows: readonly Row[]): Chart {
  const shares = [50, 99, 99.9];
  return {
    title: 'Latency of single-chunk calls',
    xLabel: 'part of the calls that took at most so long',
    yLabel: 'µs',
    logY: true,
    // So that the last per cent has as much room as the first half: one over what is left.
    xText: (x) => `p${Number((100 - 100 / x).toFixed(1))}`,
    series: rows.flatMap((row): Series[] => {
      if (row.latency === undefined) return [];
      const { p50, p99, p999 } = row.latency;
      const points = [p50, p99, p999].map((y, i) => ({ x: 100 / (100 - (shares[i] ?? 0)), y }));
      return [{ name: `${row.operation}, ${row.chunk}, ${row.threads} threads, ${row.io}`, points }];
    }),
  };
}

function scalingCharts(rows: readonly Row[]): Chart[] {
  const processes = rows.filter((row) => typeof row.details?.['processes'] === 'number');
  const series = (operation: string): Series[] => {
    const points = processes
      .filter((row) => row.operation === operation)
      .map((row) => pointOf(row, Number(row.details?.['processes'])));
    return points.length === 0 ? [] : [{ name: operation, points }];
  };
  return [
    {
      title: 'Processes on one directory: throughput of all together',
      xLabel: 'processes',
      yLabel: 'GB/s',
      xText: String,
      series: [...series('store'), ...series('retrieve')],
    },
  ];
}

function replayCharts({ replay }: Report): Chart[] {
  if (replay === undefined) return [];
  const { timeline } = replay;
  const along = (name: string, y: (point: (typeof timeline)[number]) => number): Series => {
    return { name, points: timeline.map((point) => ({ x: point.second, y: y(point) })) };
  };
  const common = { xLabel: 'seconds', xText: (x: number) => String(Number(x.toPrecision(3))), linearX: true };
  return [
    {
      ...common,
      title: `Replay: hit rate, ${(replay.hitRate * 100).toFixed(1)}% in all, ${figure(replay.bytesSaved / 2 ** 30)} GiB not computed`,
      yLabel: 'cached tokens, %',
      series: [along('hit rate', (point) => point.hitRate * 100)],
    },
    {
      ...common,
      title: 'Replay: mean latency of a request',
      yLabel: 'ms',
      series: [along('lookup', (point) => point.lookupMs), along('retrieve', (point) => point.retrieveMs)],
    },
  ];
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    'operation',
    'by',
    'chunks',
    'threads',
    'a call',
    'transport',
    'I/O',
    'cache',
    'sums',
    'median [least, greatest]',
  ];
  const more = [
    'ratios',
    'p50/p99/p99.9 µs',
    'CPU s/GiB',
    'MiB in flight',
    'loop p99 ms (idle)',
    'bytes direct/buffered/GPU',
  ];
  const cells = (row: Row): string[] => [
    row.operation,
    String(row.details?.['peer'] ?? row.by),
    `${row.chunk} × ${row.chunks}`,
    String(row.threads),
    String(row.depth),
    row.transport,
    row.io,
    row.coldBy === undefined ? row.cache : `${row.cache}: ${row.coldBy}`,
    row.sums ? 'on' : 'off',
    `${spreadText(row)} ${row.unit}`,
    Object.entries(row.ratios ?? {})
      .map(([by, ratio]) => `${spreadText(ratio)} of ${by}`)
      .join('; '),
    row.latency === undefined ? '' : [row.latency.p50, row.latency.p99, row.latency.p999].map(figure).join(' / '),
    row.cpuSecondsPerGiB === undefined ? '' : figure(row.cpuSecondsPerGiB),
    row.bytesInFlight === undefined ? '' : figure(row.bytesInFlight / 2 ** 20),
    row.eventLoopDelayMs === undefined
      ? ''
      : `${figure(row.eventLoopDelayMs.p99)} (${figure(row.eventLoopDelayMs.idleP99)})`,
    pathText(row),
  ];
  const line = (row: Row) =>
    `<tr>${cells(row)
      .map((cell) => `<td>${escapeHtml(cell)}</td>`)
      .join('')}</tr>`;
  const heads = [...head, ...more].map((name) => `<th>${escapeHtml(name)}</th>`).join('');
  return `<table><thead><tr>${heads}</tr></thead><tbody>${rows.map(line).join('')}</tbody></table>`;
}
