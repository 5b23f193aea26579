/**
 * Every suite: the C++ core by ctest, the published types by tsc, the rest by vitest.
 *
 *     npm test                             everything
 *     npm test -- test/unit/keys.test.ts   vitest alone, with these arguments
 */
import { buildCore, buildFakes, testCore } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { tool } from './lib/paths.mjs';
import { quiet, shown } from './lib/run.mjs';
import { runSteps } from './lib/steps.mjs';

async function testCpp() {
  const out = await withLock('C++ core', () => buildCore('core'));
  return `${await testCore(out)} tests`;
}

/** Against dist/, as users see it: these files import the package by its name. */
async function testTypes() {
  await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'test/types/tsconfig.json']);
  return undefined;
}

const forVitest = process.argv.slice(2);

async function testTypeScript() {
  await withLock('fake CUDA and cuFile', buildFakes);
  await shown('vitest', [process.execPath, tool('vitest/vitest.mjs'), 'run', ...forVitest]);
  return undefined;
}

/** @type {Parameters<typeof runSteps>[1]} */
const steps = [['vitest', testTypeScript]];
if (forVitest.length > 0) console.log('test: vitest alone, since it was given arguments');
else steps.unshift(['C++ core (ctest)', testCpp], ['types (tsc)', testTypes]);

process.exitCode = (await runSteps('test', steps)) ? 0 : 1;
