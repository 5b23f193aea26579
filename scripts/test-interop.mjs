/**
 * The tests against the released LMCache: makes a Python environment that has it (once, outside the clone), and runs
 * test/interop there. Needs python3 of 3.11 or 3.12 with venv, a C compiler, and about 6 GB, most of it PyTorch.
 *
 *     npm run test:interop
 *     KV_OFFLOAD_INTEROP_PYTHON=/path/to/python npm run test:interop     with an environment of one's own
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

const LMCACHE = 'lmcache==0.5.6';
const requirements = inRoot('test/interop/requirements.txt');
const standIn = inRoot('test/interop/fake_cufile.c');

/** @param {string} line */
const say = (line) => console.log(`interop: ${line}`);

/** A folder with `bin/python` and `stand-in/libcufile.so`; one that was not finished is made anew. */
async function environment() {
  const hash = createHash('sha256').update(LMCACHE).update(readFileSync(requirements)).update(readFileSync(standIn));
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kv-offload');
  const folder = join(cache, `interop-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(join(folder, 'ready'))) return folder;
  say(`making a Python environment in ${folder} (about 6 GB, some minutes)`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'stand-in'), { recursive: true });
  await quiet('venv', ['python3', '-m', 'venv', folder]);
  const pip = [join(folder, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await quiet('pip install torch', [...pip, 'torch>=2.6']);
  // Without its dependencies: they are for GPUs and networks, and its GDS backend needs neither here.
  await quiet('pip install lmcache', [...pip, '--no-deps', LMCACHE]);
  await quiet('pip install requirements', [...pip, '-r', requirements]);
  const library = join(folder, 'stand-in/libcufile.so');
  await quiet('cc', ['cc', '-shared', '-fPIC', '-O2', '-Wall', '-o', library, standIn]);
  writeFileSync(join(folder, 'ready'), '');
  return folder;
}

try {
  const own = process.env.KV_OFFLOAD_INTEROP_PYTHON;
  const folder = own === undefined ? await withLock('interop', environment) : undefined;
  const env = {
    KV_OFFLOAD_INTEROP_PYTHON: own ?? join(String(folder), 'bin/python'),
    KV_OFFLOAD_INTEROP_LIBRARIES: process.env.KV_OFFLOAD_INTEROP_LIBRARIES ?? join(String(folder), 'stand-in'),
  };
  await shown('vitest', [process.execPath, tool('vitest/vitest.mjs'), 'run', '--project', 'interop'], { env });
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
