/** The C++ core and its tests, built by plain CMake, without Node. */
import { readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { inRoot, root } from './paths.mjs';
import { quiet } from './run.mjs';

/** How many compilers or tests at once. */
export const JOBS = String(availableParallelism());

/** Assertions stay on: RelWithDebInfo's own flags would define NDEBUG. */
const OPTIMISED = ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g'];

/**
 * A clone that was moved keeps a cache that names its old place, which CMake refuses.
 *
 * @param {string} out
 */
export async function isForeign(out) {
  const cache = await readFile(join(out, 'CMakeCache.txt'), 'utf8').catch(() => undefined);
  return cache !== undefined && !cache.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`);
}

/**
 * Builds the core and its tests.
 *
 * @param {string} folder build folder below .cmake
 * @param {string[]} options further -D options
 * @param {string} target
 * @returns the build folder
 */
export async function buildCore(folder, options = [], target = 'all') {
  const out = inRoot('.cmake', folder);
  if (await isForeign(out)) await rm(out, { recursive: true });
  await quiet('cmake', [
    ...['cmake', '-S', root, '-B', out, '-DCMAKE_EXPORT_COMPILE_COMMANDS=ON'],
    ...OPTIMISED,
    ...options,
  ]);
  await quiet('cmake --build', ['cmake', '--build', out, '--parallel', JOBS, '--target', target]);
  return out;
}

/** Builds the stand-ins for libcuda and libcufile (test/fakes), into .cmake/core. */
export const buildFakes = () => buildCore('core', [], 'fakes');

/**
 * Runs the core's tests.
 *
 * @param {string} out the build folder
 * @param {{ env?: Record<string, string>, through?: string[] }} options `through`: a command to run ctest under
 * @returns how many passed
 */
export async function testCore(out, { env = {}, through = [] } = {}) {
  const argv = [...through, 'ctest', '--test-dir', out, '--output-on-failure', '--no-tests=error', '--timeout', '300'];
  const { log } = await quiet('ctest', [...argv, '--parallel', JOBS], { env });
  return /tests failed out of (\d+)/.exec(log)?.[1] ?? '?';
}
