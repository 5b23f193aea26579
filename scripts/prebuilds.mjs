/** Builds the binary that the package brings for this platform, into prebuilds/. */
import { rm } from 'node:fs/promises';
import { makeNodeDir } from './build-addon.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet } from './lib/run.mjs';
import { toolProblem } from './lib/toolchain.mjs';

async function main() {
  const problem = toolProblem(['python', 'make', 'compiler']);
  if (problem !== undefined) throw new Error(problem);
  const nodeDir = makeNodeDir(tool('node-api-headers'), inRoot('.cache', 'node'));
  await withLock('prebuilds', () =>
    quiet('prebuildify', [process.execPath, tool('prebuildify/bin.js'), '--napi', '--strip', '--tag-libc'], {
      env: { npm_config_nodedir: nodeDir, npm_config_force_process_config: 'true', npm_config_jobs: 'max' },
    }),
  );
  // node-gyp's own folder; a clone loads its addon from .cmake.
  await rm(inRoot('build'), { recursive: true, force: true });
}

main().catch((error) => {
  if (error instanceof CommandFailed && error.log !== '') console.error(error.log.trimEnd());
  console.error(`prebuilds: ${error.message}`);
  process.exitCode = 1;
});
