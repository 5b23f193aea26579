/** The native addon as developers and tests use it, built by cmake-js. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { JOBS, isForeign } from './core.mjs';
import { inRoot, tool } from './paths.mjs';
import { quiet } from './run.mjs';

/**
 * Builds the addon. Headers come from node-api-headers, a package, so nothing is downloaded.
 *
 * @param {string} folder build folder below .cmake: never build/, which is node-gyp's
 * @param {Record<string, string>} options CMake options
 * @returns the addon's path
 */
export async function buildAddon(folder, options = {}) {
  const out = inRoot('.cmake', folder);
  if (await isForeign(out)) await rm(out, { recursive: true });
  const words = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
  const cmakeJs = (/** @type {string} */ command) =>
    quiet('cmake-js', [
      process.execPath,
      tool('cmake-js/bin/cmake-js'),
      command,
      '--out',
      out,
      '--parallel',
      JOBS,
      ...words,
    ]);
  // By itself cmake-js configures once, and would miss a new source or option.
  await cmakeJs('configure');
  await cmakeJs('build');
  const addon = `${out}/Release/kv_offload.node`;
  if (!existsSync(addon)) throw new Error(`the native build ended well but left no ${addon}`);
  return addon;
}
