/** Which libcufile would be loaded, found by its files: nothing is loaded. */
import { basename, join } from 'node:path/posix';
import { type Answer, type CufileLibrary, type System, valueOf } from '../system.js';

/** In this order, as the library is opened. */
const NAMES = ['libcufile.so.0', 'libcufile.so'] as const;

const USUAL = [
  '/usr/local/cuda/lib64',
  '/usr/local/cuda/targets/x86_64-linux/lib',
  '/usr/local/cuda/targets/sbsa-linux/lib',
  '/lib/x86_64-linux-gnu',
  '/usr/lib/x86_64-linux-gnu',
  '/lib/aarch64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/lib64',
  '/usr/lib64',
  '/lib',
  '/usr/lib',
];

/**
 * Looks where the loader does: the configured path, `LD_LIBRARY_PATH`, the loader's cache (`ldconfig -p`), and the
 * directories CUDA's packages use. The version is the end of the real file's name, `libcufile.so.1.15.1`.
 */
export async function findCufile(system: System, configured: string | undefined): Promise<Answer<CufileLibrary>> {
  if (configured?.includes('/') === true) return describe(system, configured);
  const names = configured === undefined ? NAMES : [configured];
  const fromVariable = (system.env['LD_LIBRARY_PATH'] ?? '')
    .split(':')
    .filter((directory) => directory.startsWith('/'));
  for (const directory of fromVariable) {
    const found = await inDirectory(system, directory, names);
    if (found) return { value: found };
  }
  const cache = valueOf(await system.run('ldconfig', ['-p'])) ?? '';
  for (const name of names) {
    const path = cachedPath(cache, name);
    const found = path === undefined ? undefined : valueOf(await describe(system, path));
    if (found) return { value: found };
  }
  for (const directory of [...USUAL, ...(await versionedDirectories(system))]) {
    const found = await inDirectory(system, directory, names);
    if (found) return { value: found };
  }
  return { errno: 'ENOENT' };
}

/** `/usr/local/cuda-13.0/lib64`, … the newest first. */
async function versionedDirectories(system: System): Promise<string[]> {
  const names = valueOf(await system.list('/usr/local')) ?? [];
  return names
    .filter((name) => /^cuda-\d/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .flatMap((name) => ['lib64', 'targets/x86_64-linux/lib'].map((end) => join('/usr/local', name, end)));
}

async function inDirectory(system: System, directory: string, names: readonly string[]) {
  for (const name of names) {
    const found = valueOf(await describe(system, join(directory, name)));
    if (found) return found;
  }
  return undefined;
}

async function describe(system: System, path: string): Promise<Answer<CufileLibrary>> {
  const real = await system.realpath(path);
  if ('errno' in real) return real;
  const version = /\.so\.(\d+\.\d+(?:\.\d+)*)$/.exec(basename(real.value))?.[1];
  return { value: { path, version } };
}

/** `	libcufile.so.0 (libc6,x86-64) => /usr/local/cuda/targets/x86_64-linux/lib/libcufile.so.0` */
function cachedPath(cache: string, name: string): string | undefined {
  for (const line of cache.split('\n')) {
    const [entry, path] = line.trim().split(' => ');
    if (path?.startsWith('/') === true && entry?.split(' ')[0] === name) return path;
  }
  return undefined;
}
