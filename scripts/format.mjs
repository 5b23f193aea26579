/** Writes the house format into every file: prettier, then clang-format where it is installed. */
import { nativeFiles } from './lib/native-files.mjs';
import { tool } from './lib/paths.mjs';
import { shown } from './lib/run.mjs';
import { onPath } from './lib/toolchain.mjs';

await shown('prettier', [process.execPath, tool('prettier/bin/prettier.cjs'), '--write', '--log-level', 'warn', '.']);
if (onPath('clang-format')) await shown('clang-format', ['clang-format', '-i', ...nativeFiles(/\.(cc|h)$/)]);
else console.log('SKIPPED clang-format: not installed; on Debian or Ubuntu: apt-get install clang-format');
