/**
 * The tests of test/gpu with NVIDIA's own libcufile, release after release, on a machine without a GPU: CUDA's driver is the
 * stand-in of test/fakes, and cuFile moves the bytes by POSIX, in its compat mode. It shows that cuFile's ABI is declared
 * rightly, its counters above all, whose place has changed. Needs python3 with pip (1.5 MB a release from PyPI), cc, and x86-64.
 *
 *     npm run test:cufile
 *     npm run test:cufile -- 1.15.1.6 1.20.0.107
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFakes } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

/** The last of each minor release that counts which way bytes take. */
const RELEASES = ['1.15.1.6', '1.16.1.26', '1.17.1.22', '1.18.1.6', '1.19.1.55', '1.20.0.107'];
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kv-offload');

/** @param {string} line */
const say = (line) => console.log(`cufile: ${line}`);

/**
 * The folder of a release's library.
 *
 * @param {string} release
 */
async function libraryOf(release) {
  const folder = join(cache, `cufile-${release}`);
  const unpacked = join(folder, 'unpacked');
  if (!existsSync(join(folder, 'ready'))) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(unpacked, { recursive: true });
    const pip = ['python3', '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps'];
    await quiet('pip download', [...pip, '--dest', folder, `nvidia-cufile==${release}`]);
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl')) ?? '';
    await quiet('unpacking', ['python3', '-m', 'zipfile', '-e', join(folder, wheel), unpacked]);
    writeFileSync(join(folder, 'ready'), '');
  }
  const found = readdirSync(unpacked, { recursive: true, encoding: 'utf8' });
  const library = found.find((path) => path.endsWith('libcufile.so.0'));
  if (library === undefined) throw new CommandFailed(`nvidia-cufile ${release} has no libcufile.so.0`, '');
  return join(unpacked, library, '..');
}

/**
 * A folder with a libcuda.so.1 that has all that the library looks up, and the environment that it needs.
 *
 * @param {string} libraries
 */
async function driverFor(libraries) {
  const folder = inRoot('.cmake/cufile');
  const [source, fakes] = [inRoot('test/interop/cuda_for_cufile.c'), inRoot('.cmake/core')];
  mkdirSync(folder, { recursive: true });
  const text = readFileSync(join(libraries, 'libcufile.so.0')).toString('latin1');
  const wanted = new Set([...text.matchAll(/(?<=\0)cu[A-Z][A-Za-z0-9_]+(?=\0)/g)].map(([name]) => name));
  const { stdout } = await quiet('nm', ['nm', '-D', '--defined-only', join(fakes, 'libfake_cuda.so')]);
  const there = new Set(stdout.split('\n').map((line) => line.split(' ').at(-1) ?? ''));
  for (const [, name = ''] of readFileSync(source, 'utf8').matchAll(/^int (cu\w+)\(.*\{/gm)) there.add(name);
  const rest = [...wanted].filter((name) => !there.has(name) && !/^cu[Ff]ile/.test(name));
  const stubs = join(folder, 'stubs.c');
  writeFileSync(stubs, rest.map((name) => `int ${name}(void) { return 0; }\n`).join(''));
  const links = [
    '-Wl,-soname,libcuda.so.1',
    `-Wl,-rpath,${fakes}`,
    `-L${fakes}`,
    '-Wl,--no-as-needed',
    '-l:libfake_cuda.so',
  ];
  const flags = existsSync('/proc/modules') ? [] : ['-DKVO_NO_PROC_MODULES'];
  const out = join(folder, 'libcuda.so.1');
  await quiet('cc', ['cc', '-shared', '-fPIC', '-O1', '-Wall', ...flags, '-o', out, source, stubs, ...links, '-ldl']);
  // As CUDA's own: with threads of cuFile's beside ours. Without max_request_parallelism 1.15 divides by zero.
  const execution = {
    parallel_io: true,
    max_io_threads: 4,
    max_request_parallelism: 4,
    min_io_threshold_size_kb: 8192,
  };
  const configuration = join(folder, 'cufile.json');
  writeFileSync(configuration, JSON.stringify({ execution }));
  return { folder, env: { LD_PRELOAD: out, CUFILE_ENV_PATH_JSON: configuration } };
}

/** cuFile registers no file of a disk that udev does not know, as in containers. */
function udevRecord() {
  const device = statSync(tmpdir()).dev;
  const [major, minor] = [Math.floor(device / 256), device % 256];
  return `/run/udev/data/b${major}:${minor}`;
}

async function main() {
  if (process.arch !== 'x64') {
    say(`SKIPPED: there is no stand-in for ${process.arch}`);
    return;
  }
  if (!existsSync(udevRecord())) {
    say(
      `SKIPPED: there is no ${udevRecord()}; with E:ID_FS_TYPE=ext4 and E:ID_FS_USAGE=filesystem in it, cuFile works here`,
    );
    return;
  }
  await withLock('fake CUDA and cuFile', buildFakes);
  const releases = process.argv.length > 2 ? process.argv.slice(2) : RELEASES;
  for (const release of releases) {
    const libraries = await libraryOf(release);
    const { folder, env: settings } = await driverFor(libraries);
    say(`libcufile ${release}`);
    const env = { ...settings, LD_LIBRARY_PATH: `${folder}:${libraries}` };
    await shown('test/gpu', [process.execPath, inRoot('scripts/gpu.mjs'), 'test'], { env });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
