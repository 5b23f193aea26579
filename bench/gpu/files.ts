/** The files of a cache directory, from outside the library. */
import { closeSync, openSync, readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Pattern } from './pattern.js';

const HEADER = 4096;

/** Whether below `directory` lie so many data files, of every chunk one, and each with the chunk's bytes. */
export function filesHold(directory: string, pattern: Pattern, chunks: number): boolean {
  const seen = new Set<number>();
  const bytes = Buffer.alloc(pattern.chunkBytes);
  for (const path of filesBelow(directory)) {
    if (!path.endsWith('.safetensors')) continue;
    const fd = openSync(path, 'r');
    try {
      if (readSync(fd, bytes, 0, bytes.length, HEADER) !== bytes.length) return false;
    } finally {
      closeSync(fd);
    }
    const chunk = pattern.chunkOf(bytes);
    if (!pattern.holds(bytes, chunk)) return false;
    seen.add(chunk);
  }
  return seen.size === chunks;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
