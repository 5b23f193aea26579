/**
 * What needs a GPU, built and run: the tests of test/gpu, or the figures of docs/benchmarks.md. Elsewhere it says that it was
 * skipped. Needs CUDA's driver, CMake and a C++ compiler; neither CUDA's headers nor its compiler.
 *
 *     npm run test:gpu
 *     node scripts/gpu.mjs test --fakes                            the same tests without a GPU, against test/fakes
 *     npm run bench:gpu -- --directories /mnt/weka,/dev/shm
 *     KV_OFFLOAD_GPU_PYTHON=/path/to/python npm run bench:gpu      that has torch, and LMCache, KvikIO and NIXL, or some;
 *                                                                  the tests take torch and LMCache from it likewise
 *     node scripts/gpu.mjs bench --built                           with dist/, the addon and .cache/bench as they are
 */
import { mkdirSync } from 'node:fs';
import { cudaLibraries } from './lib/cuda-libraries.mjs';
import { buildCore, buildFakes } from './lib/core.mjs';
import { withLock } from './lib/lock.mjs';
import { inRoot, tool } from './lib/paths.mjs';
import { CommandFailed, quiet, shown } from './lib/run.mjs';

const python = process.env.KV_OFFLOAD_GPU_PYTHON ?? 'python3';
const [what = '', ...rest] = process.argv.slice(2);
const built = rest.includes('--built');
const fakes = rest.includes('--fakes');
const forwarded = rest.filter((word) => word !== '--built' && word !== '--fakes');

/** How many GPUs the driver has, 0 without one, by asking it as the library does: without headers, and in another process. */
async function gpus() {
  const ask = [
    'import ctypes, sys',
    'cuda = ctypes.CDLL("libcuda.so.1")',
    'count = ctypes.c_int(0)',
    'print(0 if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) else count.value)',
  ].join('\n');
  return quiet('GPU', ['python3', '-c', ask]).then(
    ({ stdout }) => Number(stdout),
    () => 0,
  );
}

/**
 * Whether the Python has torch with CUDA, and what else is asked for.
 *
 * @param {string[]} modules
 */
async function has(...modules) {
  const ask = `import ${['torch', ...modules].join(', ')}; assert torch.cuda.is_available()`;
  return quiet('torch', [python, '-c', ask]).then(
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
  const sources =
    'bench/gpu/plain_gpu.cc bench/gpu/plain/*.cc native/shim/cuda.cc native/shim/cufile.cc native/shim/library.cc';
  await quiet('plain_gpu', ['sh', '-c', `g++ -std=c++20 -O2 -Inative ${sources} -o "$0" -pthread -ldl`, out]);
  return out;
}

/** @param {number} count of GPUs */
async function test(count) {
  const [libraries, torch, lmcache] = await Promise.all([cudaLibraries(python), has(), has('lmcache')]);
  if (!torch) console.log(`gpu: SKIPPED what needs torch: ${python} has none with CUDA`);
  if (!lmcache) console.log(`gpu: SKIPPED what needs the real LMCache: ${python} has none, or no torch with CUDA`);
  if (count < 2) console.log('gpu: SKIPPED what needs two GPUs: there is one');
  await vitest({
    ...libraries,
    KVO_TEST_GPU: 'real',
    KVO_TEST_GPUS: String(count),
    ...(torch && { KV_OFFLOAD_INTEROP_TORCH_PYTHON: python }),
    ...(lmcache && { KV_OFFLOAD_INTEROP_GPU_PYTHON: python }),
  });
}

/** What can be shown without a GPU: that the tests themselves are sound. cuFile is in compat mode, as it is without nvidia-fs. */
async function rehearse() {
  await withLock('fake CUDA and cuFile', buildFakes);
  await vitest({ KVO_TEST_GPU: 'fakes', KVO_TEST_GPUS: '2', KVO_FAKE_DEVICES: '2', KVO_FAKE_PATH: 'posix' });
}

/** Needs the GPU for itself. */
const ALONE = 'test/gpu/closing.test.ts';

/** @param {Record<string, string>} env */
async function vitest(env) {
  const run = (/** @type {string[]} */ words) =>
    shown('vitest', [process.execPath, tool('vitest/vitest.mjs'), 'run', '--project', 'gpu', ...words], { env });
  const alone = forwarded.length === 0 || forwarded.some((word) => ALONE.includes(word));
  const runs = [
    () => run(['--exclude', ALONE, '--passWithNoTests', ...forwarded]),
    ...(alone ? [() => run([ALONE])] : []),
  ];
  /** @type {unknown} */
  let failure;
  for (const one of runs) await one().catch((/** @type {unknown} */ error) => (failure = error));
  if (failure !== undefined) throw failure;
}

async function bench() {
  const env = { ...(await cudaLibraries(python)), KV_OFFLOAD_PLAIN_GPU: await buildPlain() };
  if (!built) await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.bench.json']);
  const argv = [process.execPath, '.cache/bench/bench/gpu/main.js', '--peers', python, ...forwarded];
  await shown('bench', argv, { env });
}

try {
  if (what !== 'test' && what !== 'bench')
    throw new CommandFailed('usage: gpu.mjs test [--fakes] | bench [--built] …', '');
  const count = what === 'test' && fakes ? 0 : await gpus();
  if (what === 'test' && fakes) await rehearse();
  else if (count > 0) await (what === 'test' ? test(count) : bench());
  else console.log(`gpu: SKIPPED ${what}: no libcuda.so.1, or it has no GPU`);
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  console.error(error.log, error.message);
  process.exitCode = 1;
}
