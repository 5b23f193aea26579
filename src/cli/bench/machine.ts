/** Where a report was measured. */
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { findMount } from '../../layout/index.js';
import { inPackage } from './package-root.js';
import type { Report } from './schema.js';

export function describeMachine(): Report['machine'] {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    kernel: release(),
    system: type(),
    architecture: arch(),
    loadAverage: loadavg()[0] ?? 0,
  };
}

export function describeVersions(): Report['versions'] {
  const text = readFileSync(inPackage('package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return { 'kv-offload': version, node: process.version, libuv: process.versions.uv };
}

export function describeFilesystem(path: string): Report['filesystem'] {
  const mount = findMount(path);
  return { path, mount: mount.path, type: mount.type, source: mount.source, options: [...mount.options] };
}

/** Bytes of memory that can be had without swapping; as much as there is where the kernel does not say. */
export function availableMemory(): number {
  try {
    const [, kib] = /^MemAvailable: +([0-9]+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
    return kib === undefined ? totalmem() : Number(kib) * 1024;
  } catch {
    return totalmem();
  }
}
