/**
 * The stand-ins for CUDA and cuFile (test/fakes) in this process: what they are told to do wrong, what they counted,
 * and what they found wrong.
 *
 * They read their environment when they are first used, so that it is set here, before any engine opens.
 */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, onTestFinished } from 'vitest';
import { temporaryDirectory } from './directories.js';
import type { Setup } from './engine.js';

const built = (name: string) => fileURLToPath(new URL(`../../.cmake/core/${name}`, import.meta.url));
/** Paths of what `npm test` builds of test/fakes. */
export const FAKES = {
  cuda: built('libfake_cuda.so'),
  cufile: built('libfake_cufile.so'),
  peer: built('fake_gpu_peer'),
} as const;

const folder = mkdtempSync(join(tmpdir(), 'kvo-fakes-'));
const controlFile = join(folder, 'control');
const reportFile = join(folder, 'report');
process.env['KVO_FAKE_CONTROL'] = controlFile;
process.env['KVO_FAKE_REPORT'] = reportFile;
process.env['CUFILE_LOGFILE_PATH'] = join(folder, 'cufile.log');

/** Settings that are read when the fakes are first used: for the whole file, from its first lines on. */
export function fakeSettings(settings: Readonly<Record<`KVO_FAKE_${string}`, string>>): void {
  Object.assign(process.env, settings);
}

afterEach(() => {
  const found = reported();
  expect(found, 'what CUDA or cuFile were told that corrupts memory, or crashes').toBe('');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Settings of `kv_offload` under which an engine uses the fakes. */
export function fakeGpu(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  if (!existsSync(FAKES.cuda)) throw new Error(`${FAKES.cuda} is not built; run npm test, which does that`);
  return { device: 'cuda', libcuda_path: FAKES.cuda, libcufile_path: FAKES.cufile, ...more };
}

/** A setup of an engine on the fake GPU. */
export function gpuSetup(
  base: Setup['base'],
  own: Readonly<Record<string, unknown>> = {},
  more: Partial<Setup> = {},
): Setup {
  return { base, own: fakeGpu(own), ...more };
}

/** Faults from now on, as test/fakes/faults.h has them; none where empty. Over with the test. */
export function control(faults: string): void {
  if (faults === '') {
    rmSync(controlFile, { force: true });
    return;
  }
  writeFileSync(`${controlFile}.new`, faults);
  renameSync(`${controlFile}.new`, controlFile);
  onTestFinished(() => {
    rmSync(controlFile, { force: true });
  });
}

/** What the fakes found wrong since the last look. */
export function reported(): string {
  if (!existsSync(reportFile)) return '';
  const text = readFileSync(reportFile, 'utf8');
  rmSync(reportFile);
  return text;
}

/** The open file of a process whose memfd's name begins so. */
function memfd(process: string, name: string): string | undefined {
  for (const fd of readdirSync(`/proc/${process}/fd`)) {
    const path = `/proc/${process}/fd/${fd}`;
    try {
      if (readlinkSync(path).startsWith(`/memfd:${name}`)) return path;
    } catch {
      // closed meanwhile
    }
  }
  return undefined;
}

/** Of this process's own fakes, where they were found first: {@link anotherFake} has counters of its own. */
const counters = new Map<string, string>();

/** What a fake counted, in a process; test/fakes/counters.h has the names. Empty where it is not loaded there. */
export function counted(library: 'cuda' | 'cufile', process = 'self'): Readonly<Record<string, number>> {
  const path =
    (process === 'self' ? counters.get(library) : undefined) ?? memfd(process, `kvo-fake-counters:${library} `);
  if (path === undefined) return {};
  if (process === 'self') counters.set(library, path);
  const lines = readFileSync(path, 'utf8').replaceAll('\0', '').trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split(/ +/)[0] ?? '', Number(line.split(/ +/)[1])]));
}

/** What must be as before once an engine is closed: memory, streams, events, registrations. */
export function held(): Readonly<Record<string, number>> {
  const names = ['deviceBlocks', 'imports', 'pinnedBlocks', 'streams', 'events'];
  const ofCufile = ['handles', 'buffers', 'underWay'];
  const [cuda, cufile] = [counted('cuda'), counted('cufile')];
  return Object.fromEntries([
    ...names.map((name) => [name, cuda[name] ?? 0]),
    ...ofCufile.map((name) => [name, cufile[name] ?? 0]),
  ]) as Record<string, number>;
}

/** The bytes of device memory of a process, by the address at which the allocation begins. */
export function deviceFile(address: bigint, process = 'self', device = 0): string {
  const path = memfd(process, `kvo-fake-device:${device}:${address}:`);
  return path ?? expect.fail(`no device memory at ${address} in process ${process}`);
}

/**
 * Another copy of a fake, as the loader sees it: with a state of its own, for what is only looked at when a library is
 * loaded, and for what would spoil the rest of the file.
 */
export function anotherFake(library: 'cuda' | 'cufile'): string {
  const own = temporaryDirectory();
  const copy = join(own, library === 'cuda' ? 'libfake_cuda.so' : 'libfake_cufile.so');
  copyFileSync(FAKES[library], copy);
  // The fake cuFile looks for the device memory beside it.
  if (library === 'cufile') symlinkSync(FAKES.cuda, join(own, 'libfake_cuda.so'));
  return copy;
}
