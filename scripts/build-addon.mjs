/**
 * Builds the native addon of an installed kv-offload, for platforms that the package brings no binary for:
 *
 *     node node_modules/kv-offload/scripts/build-addon.mjs
 *
 * Needs python3, make and a C++20 compiler. The rest (node-gyp, headers) comes from the npm registry into a temporary
 * folder; nothing else is downloaded, since a Node-API addon needs no headers of one Node version.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/** What node-gyp adds for every addon; Node's own common.gypi would say the same and much about V8. */
const COMMON_GYPI = {
  target_defaults: {
    default_configuration: 'Release',
    configurations: {
      Release: { cflags: ['-O3', '-fno-omit-frame-pointer'], defines: ['NDEBUG'] },
      Debug: { cflags: ['-g'] },
    },
    cflags: ['-pthread'],
    ldflags: ['-pthread'],
  },
};

/**
 * Makes a folder that node-gyp takes for Node's headers, of the Node-API headers alone.
 *
 * @param {string} headers the node-api-headers package
 * @param {string} into made if need be
 */
export function makeNodeDir(headers, into) {
  const include = join(into, 'include', 'node');
  mkdirSync(include, { recursive: true });
  cpSync(join(headers, 'include'), include, { recursive: true });
  writeFileSync(join(include, 'common.gypi'), JSON.stringify(COMMON_GYPI));
  return into;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} options
 */
function run(command, args, { cwd = packageRoot, env = {} } = {}) {
  const { error, status } = spawnSync(command, args, {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (error) throw new Error(`cannot run ${command}: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

function checkPlace() {
  for (const tool of ['python3', 'make']) {
    if (spawnSync(tool, ['--version']).status !== 0)
      throw new Error(`${tool} is missing; on Debian or Ubuntu: apt-get install python3 make g++`);
  }
  try {
    accessSync(packageRoot, constants.W_OK);
  } catch {
    throw new Error(`${packageRoot} cannot be written to; run this as the user that installed it`);
  }
}

/** @param {string} temporary */
function build(temporary) {
  const { devDependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const wanted = ['node-gyp', 'node-addon-api', 'node-api-headers'].map((name) => `${name}@${devDependencies[name]}`);
  writeFileSync(join(temporary, 'package.json'), '{ "private": true }');
  // Not by --prefix, which would also move npm's global settings away, a proxy's certificate among them.
  run('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...wanted], { cwd: temporary });
  const modules = join(temporary, 'node_modules');
  const nodeDir = makeNodeDir(join(modules, 'node-api-headers'), join(temporary, 'node'));
  const gyp = join(modules, 'node-gyp', 'bin', 'node-gyp.js');
  run(process.execPath, [gyp, 'rebuild', '--release', `--nodedir=${nodeDir}`, '--force-process-config', '--jobs=max'], {
    env: { NODE_PATH: modules },
  });
}

/** Leaves of build/ only what is loaded. */
function keepBinary() {
  const addon = join(packageRoot, 'build', 'Release', 'kv_offload.node');
  const binary = readFileSync(addon);
  rmSync(join(packageRoot, 'build'), { recursive: true });
  mkdirSync(join(packageRoot, 'build', 'Release'), { recursive: true });
  writeFileSync(addon, binary, { mode: 0o755 });
  run(process.execPath, ['-e', 'require(process.argv[1])', addon]);
  return addon;
}

function main() {
  const temporary = mkdtempSync(join(tmpdir(), 'kv-offload-build-'));
  try {
    checkPlace();
    build(temporary);
    console.log(`kv-offload: built ${keepBinary()}`);
  } catch (error) {
    console.error(`kv-offload: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main();
