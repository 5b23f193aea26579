/** Reports of `kv-offload bench` that nobody measured. */
import type { Report, Row } from '../../src/cli/bench/schema.js';

export function sampleRow(changes: Partial<Row> = {}): Row {
  return {
    id: 'retrieve/kv-offload/llama-3.1-8b/x8/t4/d8/buffered/sums/warm',
    operation: 'retrieve',
    by: 'kv-offload',
    chunk: 'llama-3.1-8b',
    chunkBytes: 32 * 2 ** 20,
    chunks: 8,
    threads: 4,
    depth: 8,
    io: 'buffered',
    sums: true,
    transport: 'host',
    cache: 'warm',
    unit: 'GB/s',
    values: [9, 10, 11],
    median: 10,
    least: 9,
    greatest: 11,
    ...changes,
  };
}

export function sampleReport(rows: Row[] = [sampleRow()]): Report {
  return {
    schema: 'kv-offload-bench',
    version: 1,
    command: ['kv-offload', 'bench'],
    startedAt: '2026-01-01T00:00:00.000Z',
    seconds: 12,
    complete: true,
    machine: {
      cpu: 'Some CPU',
      cores: 2,
      memoryBytes: 2 ** 34,
      kernel: '6.1.0',
      system: 'Linux',
      architecture: 'x64',
      loadAverage: 0.1,
    },
    versions: { 'kv-offload': '0.1.0', node: 'v20.20.2' },
    filesystem: { path: '/mnt/cache', mount: '/mnt', type: 'ext4', source: '/dev/vda', options: ['rw'] },
    transport: { kind: 'host', reason: 'no GPU', io: 'buffered', ioReason: 'use_direct_io is false' },
    settings: { repeats: 3, sync: false },
    asked: { diskBytes: 2 ** 30, memoryBytes: 2 ** 30, files: 100, seconds: 20 },
    device: null,
    rows,
    notes: ['fio is not installed'],
  };
}
