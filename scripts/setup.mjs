/**
 * Makes a clone ready to run: dependencies, native addon, compiled TypeScript, the `kv-offload` command.
 *
 * Each step is left out when what it depends on has not changed, so that every npm script can begin with this.
 * Nothing but Node's own modules is used, since it runs before there is a node_modules.
 */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, lstat, mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { buildAddon } from './lib/addon.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet } from './lib/run.mjs';
import { clearStamp, contentHash, filesBelow, isFresh, writeStamp } from './lib/stamp.mjs';
import { nodeProblem, toolProblem } from './lib/toolchain.mjs';

const ADDON = '.cmake/build/Release/kv_offload.node';

/** @param {string} line */
const say = (line) => console.log(`setup: ${line}`);

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(inRoot(path), 'utf8'));

/** npm writes down what it installed; true where that holds every package the lock file asks for. */
function dependenciesMatch() {
  if (!existsSync(inRoot('node_modules/.package-lock.json'))) return false;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(readJson('package-lock.json').packages).every(([path, wanted]) => {
    if (path === '') return true;
    if (installed[path] === undefined) return wanted.optional === true; // for another platform
    return installed[path].version === wanted.version;
  });
}

async function installDependencies() {
  if (dependenciesMatch()) return;
  say('installing dependencies');
  await quiet('npm ci', [
    'npm',
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--include=dev',
  ]);
}

async function prepareAddon() {
  const hash = contentHash(['native', 'CMakeLists.txt', 'package-lock.json'], [process.arch, process.env.CXX ?? '']);
  if (isFresh('addon', hash) && existsSync(inRoot(ADDON))) return;
  const problem = toolProblem(['cmake', 'make', 'compiler']);
  if (problem !== undefined) throw new Error(problem);
  say('building the native addon');
  clearStamp('addon');
  await buildAddon('build');
  writeStamp('addon', hash);
}

/** @param {string} source */
const compiledName = (source) => source.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js');

/**
 * dist/ holds nothing of sources that are gone; tsc's own record is dropped where something it made is missing.
 *
 * @param {string[]} sources
 */
async function tidyCompiled(sources) {
  const wanted = new Set(sources.map(compiledName));
  const compiled = filesBelow('dist');
  const orphans = compiled.filter((file) => !wanted.has(file.replace(/\.(d\.ts|js|js\.map|d\.ts\.map)$/, '.js')));
  for (const file of orphans) await rm(inRoot(file));
  const present = new Set(compiled);
  if ([...wanted].some((file) => !present.has(file))) await rm(inRoot('.cache/tsc.tsbuildinfo'), { force: true });
}

async function compileTypeScript() {
  const sources = filesBelow('src').filter((file) => file.endsWith('.ts'));
  const hash = contentHash([
    ...['src', 'native/index.d.cts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
  ]);
  if (isFresh('typescript', hash) && sources.every((file) => existsSync(inRoot(compiledName(file))))) return;
  say('compiling TypeScript');
  clearStamp('typescript');
  await tidyCompiled(sources);
  await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
  await chmod(inRoot('dist/cli/main.js'), 0o755);
  writeStamp('typescript', hash);
}

/** npm links a package's own command only for those who install it; `npx --no-install kv-offload` wants it here too. */
async function linkCommand() {
  const target = '../../dist/cli/main.js';
  const link = inRoot('node_modules/.bin/kv-offload');
  if ((await readlink(link).catch(() => undefined)) === target) return;
  say('linking kv-offload');
  if (await lstat(link).catch(() => undefined)) await rm(link);
  await mkdir(inRoot('node_modules/.bin'), { recursive: true });
  await symlink(target, link);
}

async function main() {
  const problem = nodeProblem();
  if (problem !== undefined) throw new Error(problem);
  await withLock('setup', async () => {
    await installDependencies();
    await prepareAddon();
    await compileTypeScript();
    await linkCommand();
  });
}

main().catch((error) => {
  if (error instanceof CommandFailed && error.log) console.error(error.log.trimEnd());
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
});
