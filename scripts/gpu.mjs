/**
 * What needs a GPU, built and run: the tests of test/gpu, or the figures of docs/gpu.md. Elsewhere it says that it was
 * skipped. Needs CUDA's driver, CMake and a C++ compiler; neither CUDA's headers nor its compiler.
 *
 *     npm run test:gpu
 *     npm run bench:gpu -- --directories /mnt/weka,/dev/shm
 *     KV_OFFLOAD_GPU_PYTHON=/path/to/python npm run bench:gpu      that has torch, and LMCache, KvikIO and NIXL, or some
 *     node scripts/gpu.mjs bench --built                           with dist/, the addon and .cache/bench as they are
 */
import { mkdirSync } from 'node:fs';
import { cudaLibraries } from './lib/cuda-libraries.mjs';
import { buildCore } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

const python = process.env.KV_OFFLOAD_GPU_PYTHON ?? 'python3';
const [what = '', ...rest] = process.argv.slice(2);
const built = rest.includes('--built');
const forwarded = rest.filter((word) => word !== '--built');

/** Whether there is a driver with a GPU, by asking it as the library does: without headers, and in another process. */
async function gpu() {
  const ask = [
    'import ctypes, sys',
    'cuda = ctypes.CDLL("libcuda.so.1")',
    'count = ctypes.c_int(0)',
    'sys.exit(cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1)',
  ].join('\n');
  return quiet('GPU', ['python3', '-c', ask]).then(
    () => true,
    () => false,
  );
}

/** Whether the Python has the real LMCache. */
async function hasLmcache() {
  const ask = 'import torch, lmcache; assert torch.cuda.is_available()';
  return quiet('LMCache', [python, '-c', ask]).then(
    () => true,
    () => false,
  );
}

/** The plain C++ that ours is measured against. */
async function buildPlain() {
  if (!built) {
    await withLock('C++ core', () => buildCore('core'));
    await quiet('plain_gpu', ['cmake', '--build', inRoot('.cmake/core'), '--target', 'plain_gpu']);
    return inRoot('.cmake/core/plain_gpu');
  }
  // By hand, for a machine without the rest.
  const out = inRoot('.cmake/plain_gpu');
  mkdirSync(inRoot('.cmake'), { recursive: true });
  const sources = 'bench/gpu/plain_gpu.cc bench/gpu/plain/*.cc native/shim/cuda.cc native/shim/library.cc';
  await quiet('plain_gpu', ['sh', '-c', `g++ -std=c++20 -O2 -Inative ${sources} -o "$0" -pthread -ldl`, out]);
  return out;
}

async function test() {
  const env = await cudaLibraries(python);
  if (await hasLmcache()) env.KV_OFFLOAD_INTEROP_GPU_PYTHON = python;
  else console.log(`gpu: SKIPPED what needs the real LMCache: ${python} has no lmcache, or no torch with CUDA`);
  const argv = [process.execPath, tool('vitest/vitest.mjs'), 'run', '--project', 'gpu', ...forwarded];
  await shown('vitest', argv, { env });
}

async function bench() {
  const env = { ...(await cudaLibraries(python)), KV_OFFLOAD_PLAIN_GPU: await buildPlain() };
  if (!built) await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.bench.json']);
  const argv = [process.execPath, '.cache/bench/bench/gpu/main.js', '--peers', python, ...forwarded];
  await shown('bench', argv, { env });
}

try {
  if (what !== 'test' && what !== 'bench') throw new CommandFailed('usage: gpu.mjs test|bench [--built] …', '');
  if (await gpu()) await (what === 'test' ? test() : bench());
  else console.log(`gpu: SKIPPED ${what}: no libcuda.so.1, or it has no GPU`);
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
