/**
 * Every figure that is aimed at, measured anew, each with its target: compiles bench/, then runs bench/main.ts.
 *
 *     npm run bench:figures -- --directory /dev/shm --disk /mnt
 */
import { tool } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

try {
  await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.bench.json']);
  await shown('bench', [process.execPath, '.cache/bench/bench/main.js', ...process.argv.slice(2)]);
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
