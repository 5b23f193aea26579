/**
 * The package as its users get it: built for this platform, packed, installed into an empty project with install
 * scripts off, then used by import, by require and from the shell; and once more without its binary.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { checkFloors } from './lib/elf.mjs';
import { inRoot } from './lib/paths.mjs';
import { quiet } from './lib/run.mjs';
import { runSteps } from './lib/steps.mjs';

const ALLOWED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|binding\.gyp|scripts\/build-addon\.mjs)$/,
  /^dist\/[\w/-]+\.(js|d\.ts|js\.map)$/,
  /^native\/(index\.cjs|index\.d\.cts|sources\.gypi|(core|binding|kernels|shim|vendor)\/.+)$/,
  /^prebuilds\/linux-(x64|arm64)\/kv-offload\.(glibc|musl)\.node$/,
  /^docs\/(?!api\/)/,
  /^examples\//,
];
const REQUIRED = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp', 'scripts/build-addon.mjs'],
  ...['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'native/index.cjs', 'native/index.d.cts'],
];

const place = await mkdtemp(join(tmpdir(), 'kv-offload-pack-'));
const project = join(place, 'project');
const installed = join(project, 'node_modules', 'kv-offload');
let tarball = '';

/** @param {string[]} argv */
const inProject = (...argv) =>
  quiet(argv.join(' '), argv, { cwd: project, env: { NODE_PATH: '', KV_OFFLOAD_ADDON: '' } });

async function prebuild() {
  await quiet('prebuilds', [process.execPath, inRoot('scripts/prebuilds.mjs')]);
  return checkFloors(inRoot(`prebuilds/linux-${process.arch}/kv-offload.glibc.node`));
}

async function pack() {
  const argv = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', place];
  const [{ filename, files, size }] = JSON.parse((await quiet('npm pack', argv)).stdout);
  tarball = join(place, filename);
  /** @type {string[]} */
  const paths = files.map((/** @type {{ path: string }} */ file) => file.path);
  const strangers = paths.filter((path) => !ALLOWED.some((pattern) => pattern.test(path)));
  assert.deepEqual(strangers, [], 'files that do not belong into the package');
  assert.deepEqual(
    REQUIRED.filter((path) => !paths.includes(path)),
    [],
    'files that the package lacks',
  );
  assert.ok(
    paths.some((path) => path.startsWith('prebuilds/')),
    'no binary in the package',
  );
  return `${paths.length} files, ${Math.ceil(size / 1024)} KiB`;
}

async function install() {
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{ "name": "empty", "version": "1.0.0", "private": true }');
  await inProject('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', tarball);
  await cp(inRoot('scripts/pack-smoke'), project, { recursive: true });
  return undefined;
}

/**
 * @param {string} file
 * @param {string} word what it prints once all went well
 */
const use = (file, word) => async () => {
  assert.equal((await inProject(process.execPath, file)).stdout, `${word}: ok\n`);
  return undefined;
};

async function commandLine() {
  const npx = ['npx', '--no-install', 'kv-offload'];
  const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  assert.match(
    (await inProject(...npx, '--version')).stdout,
    new RegExp(`(^|\\s)${version.replaceAll('.', '\\.')}\\s*$`),
  );

  const base = join(place, 'cache');
  await writeFile(join(project, 'tokens.json'), '[1, 2, 3, 4]');
  const model = ['--model', 'smoke/model', '--chunk-size', '4', '--base', base];
  const keys = JSON.parse((await inProject(...npx, 'keys', ...model, '--tokens', 'tokens.json', '--json')).stdout);
  const [{ key }] = keys.chunks;

  const bytes = Uint8Array.from({ length: 2 * 3 * 4 * 8 * 2 }, (_, i) => i);
  await writeFile(join(project, 'kv.bin'), bytes);
  const at = ['--base', base, '--key', key];
  await inProject(...npx, 'put', ...at, '--dtype', 'BF16', '--shape', '2,3,4,8', 'kv.bin');
  await inProject(...npx, 'get', ...at, '-o', 'back.bin');
  assert.deepEqual(new Uint8Array(await readFile(join(project, 'back.bin'))), bytes);
  const missing = [
    ...npx,
    'get',
    '--base',
    base,
    '--key',
    key.replace(/@[0-9a-f-]+@bfloat16$/, '@1@bfloat16'),
    '-o',
    'none.bin',
  ];
  await quiet('get of a missing key', missing, { cwd: project, expect: 3 });
  return version;
}

async function withoutBinary() {
  await rm(join(installed, 'prebuilds'), { recursive: true });
  await use('use-without-binary.mjs', 'without binary')();
  await inProject(process.execPath, 'node_modules/kv-offload/scripts/build-addon.mjs');
  return use('use-import.mjs', 'import')();
}

const passed = await runSteps('package', [
  ['prebuilt binary', prebuild],
  ['contents of the tarball', pack],
  ['install into an empty project, scripts off', install],
  ['import', use('use-import.mjs', 'import')],
  ['require', use('use-require.cjs', 'require')],
  ['command line', commandLine],
  ['no binary: says so, builds one, works', withoutBinary],
]);
await rm(place, { recursive: true });
process.exitCode = passed ? 0 : 1;
