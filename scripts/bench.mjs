/**
 * The figures of docs/benchmarks.md, measured anew: compiles bench/ and the plain C++ loops, then runs bench/main.ts.
 *
 *     npm run bench:figures -- --directory /dev/shm
 */
import { buildCore } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

try {
  await withLock('C++ core', () => buildCore('core'));
  await quiet('plain_io', ['cmake', '--build', inRoot('.cmake/core'), '--target', 'plain_io']);
  await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.bench.json']);
  await shown('bench', [process.execPath, '.cache/bench/bench/main.js', ...process.argv.slice(2)]);
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
