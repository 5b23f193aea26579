/**
 * Every linter and formatter, over every language. No warnings pass.
 *
 *     npm run lint              all
 *     npm run lint -- eslint    only the steps whose name holds that word
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCore } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { nativeFiles } from './lib/native-files.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet } from './lib/run.mjs';
import { Skipped, runSteps } from './lib/steps.mjs';
import { clearStamp, contentHash, isFresh, writeStamp } from './lib/stamp.mjs';
import { onPath } from './lib/toolchain.mjs';

/**
 * A step that runs the script of an installed package.
 *
 * @param {string} script below node_modules
 * @param {string[]} args
 */
const node =
  (script, ...args) =>
  async () => {
    await quiet(script, [process.execPath, tool(script), ...args]);
    return undefined;
  };

/** @param {string} name */
function needs(name) {
  if (!onPath(name)) throw new Skipped(`${name} is not installed; on Debian or Ubuntu: apt-get install ${name}`);
}

/** Of what is published: exports, types and files as an installer gets them. */
async function lintPackage() {
  const folder = await mkdtemp(join(tmpdir(), 'kv-offload-lint-'));
  try {
    const pack = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const tarball = join(folder, JSON.parse((await quiet('npm pack', pack)).stdout)[0].filename);
    await node('publint/src/cli.js', 'run', tarball, '--strict')();
    await node('@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'esm-only', '--no-color')();
  } finally {
    await rm(folder, { recursive: true });
  }
  return undefined;
}

async function clangFormat() {
  needs('clang-format');
  await quiet('clang-format', ['clang-format', '--dry-run', '-Werror', ...nativeFiles(/\.(cc|h)$/)]);
  return undefined;
}

/**
 * Files that a build folder's compile commands name, with the folder to read those from.
 *
 * @param {string} folder
 */
async function compiledIn(folder) {
  const commands = JSON.parse(await readFile(join(folder, 'compile_commands.json'), 'utf8'));
  return new Set(commands.map((/** @type {{ file: string }} */ command) => command.file));
}

/** Slow, so left out while nothing that it reads has changed since it last passed. */
async function clangTidy() {
  needs('clang-tidy');
  const { stdout: version } = await quiet('clang-tidy', ['clang-tidy', '--version']);
  const hash = contentHash(['native', 'test/native', 'test/fakes', '.clang-tidy', 'CMakeLists.txt'], [version]);
  if (isFresh('clang-tidy', hash)) return 'unchanged since it passed';
  clearStamp('clang-tidy');
  await withLock('C++ core', () => buildCore('core'));
  const sources = nativeFiles(/\.cc$/).map((file) => inRoot(file));
  /** @type {{ folder: string, file: string }[]} */
  const jobs = [];
  for (const folder of [inRoot('.cmake/core'), inRoot('.cmake/build')]) {
    const compiled = await compiledIn(folder);
    for (const file of sources.filter((source) => compiled.has(source) && !jobs.some((job) => job.file === source))) {
      jobs.push({ folder, file });
    }
  }
  await tidyAll(jobs);
  writeStamp('clang-tidy', hash);
  return `${jobs.length} files`;
}

/** @param {{ folder: string, file: string }[]} jobs as many at a time as there are cores */
async function tidyAll(jobs) {
  const waiting = [...jobs];
  let log = '';
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      await quiet('clang-tidy', ['clang-tidy', '--quiet', '-p', job.folder, job.file]).catch((error) => {
        if (!(error instanceof CommandFailed)) throw error;
        log += error.log;
      });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (log !== '')
    throw new CommandFailed('clang-tidy found something', log.replace(/^\d+ warnings? generated\.\n/gm, ''));
}

const typescript = 'typescript/bin/tsc';

/** @type {Parameters<typeof runSteps>[1]} */
const steps = [
  ['eslint', node('eslint/bin/eslint.js', '--max-warnings', '0', '.')],
  ['prettier', node('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.')],
  ['tsc', node(typescript, '--noEmit')],
  ['tsc scripts', node(typescript, '--noEmit', '-p', 'scripts')],
  ['tsc examples', node(typescript, '--noEmit', '-p', 'examples')],
  ['tsc test children', node(typescript, '--noEmit', '-p', 'test/process/children')],
  ['tsc GPU test children', node(typescript, '--noEmit', '-p', 'test/gpu/children')],
  ['knip', node('knip/bin/knip.js', '--treat-config-hints-as-errors')],
  ['publint and attw', lintPackage],
  ['typedoc', node('typedoc/bin/typedoc', '--emit', 'none')],
  ['clang-format', clangFormat],
  ['clang-tidy', clangTidy],
];

const wanted = process.argv.slice(2);
const chosen = steps.filter(([name]) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
process.exitCode = (await runSteps('lint', chosen)) ? 0 : 1;
