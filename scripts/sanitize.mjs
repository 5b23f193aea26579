/**
 * The C++ core's tests under AddressSanitizer with UndefinedBehaviorSanitizer, and under ThreadSanitizer; and the
 * suites that use the addon, under AddressSanitizer.
 *
 * ThreadSanitizer is for the core alone: preloaded into Node it reports races of V8's own.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { buildAddon } from './lib/addon.mjs';
import { buildCore, buildFakes, testCore } from './lib/core.mjs';
import { tool } from './lib/paths.mjs';
import { CommandFailed, quiet } from './lib/run.mjs';
import { Skipped, runSteps } from './lib/steps.mjs';

const OPTIONS = {
  ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

/** Sanitizers want their addresses free; kernels that randomise widely take some, so randomisation is off where it may be. */
const steady = await quiet('setarch', ['setarch', '--addr-no-randomize', 'true']).then(
  () => ['setarch', '--addr-no-randomize'],
  () => [],
);

/**
 * @param {string} folder
 * @param {string} sanitizers
 */
const core = (folder, sanitizers) => async () => {
  const out = await buildCore(folder, [`-DKVO_SANITIZE=${sanitizers}`, '-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1']);
  return `${await testCore(out, { env: OPTIONS, through: steady })} tests`;
};

/** @param {string} name such as libasan.so */
async function runtime(name) {
  const compiler = process.env.CXX ?? 'g++';
  const path = (await quiet(compiler, [compiler, `-print-file-name=${name}`])).stdout.trim();
  if (!isAbsolute(path)) throw new Skipped(`${compiler} brings no ${name}`);
  return path;
}

/**
 * Node is not built with the sanitizer, so its runtime comes first by preloading; leaks are then mostly Node's own.
 * Reports go to files, since the tests have children whose output they keep to themselves.
 */
async function addon() {
  const preload = `${await runtime('libasan.so')} ${await runtime('libstdc++.so')}`;
  const path = await buildAddon('addon-asan', { KVO_SANITIZE: 'address' });
  await buildFakes();
  const reports = await mkdtemp(join(tmpdir(), 'kv-offload-asan-'));
  try {
    // Node asks for absurd buffers where a test does, and expects null.
    const ours = `detect_leaks=0:allocator_may_return_null=1:log_path=${reports}/report`;
    const ASAN_OPTIONS = `${OPTIONS.ASAN_OPTIONS}:${ours}`;
    const projects = ['integration', 'integration-staged', 'integration-gds'].flatMap((name) => ['--project', name]);
    const vitest = [tool('vitest/vitest.mjs'), 'run', ...projects, '--no-file-parallelism'];
    // Preloaded by env, so that setarch itself is not.
    const argv = [...steady, 'env', `LD_PRELOAD=${preload}`, process.execPath, ...vitest];
    const run = await quiet('vitest', argv, { env: { ASAN_OPTIONS, KV_OFFLOAD_ADDON: path, NO_COLOR: '1' } }).catch(
      async (error) => {
        throw new CommandFailed(error.message, `${failuresOf(error.log ?? '')}\n${await allOf(reports)}`);
      },
    );
    const found = await allOf(reports);
    if (found.includes('ERROR: ')) throw new CommandFailed('AddressSanitizer found something', found);
    return /Tests\s+(\d+ passed)/.exec(run.log)?.[1];
  } finally {
    await rm(reports, { recursive: true });
  }
}

/**
 * What vitest says of the tests that failed, without the list of all files before it: whoever reads CI's log may be shown
 * the first lines alone. The whole log where vitest did not come so far.
 *
 * @param {string} log
 */
function failuresOf(log) {
  const from = log.search(/^.*(?:Failed (?:Suites|Tests)|Unhandled Errors?) .*$/m);
  return from < 0 ? log : log.slice(from);
}

/** @param {string} folder */
async function allOf(folder) {
  const files = await readdir(folder);
  return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('\n');
}

const passed = await runSteps('sanitizers', [
  ['core under ASan and UBSan', core('asan', 'address,undefined')],
  ['core under TSan', core('tsan', 'thread')],
  ['addon under ASan', addon],
]);
process.exitCode = passed ? 0 : 1;
