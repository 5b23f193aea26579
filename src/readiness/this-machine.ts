/** This machine as a {@link System}. */
import { constants, access, open, readdir, readlink, realpath, stat, statfs } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Environment } from '../config/index.js';
import { findCufile } from './sources/cufile-library.js';
import type { Answer, CufileLibrary, FileKind, System } from './system.js';

const MOST_TEXT_BYTES = 4 * 2 ** 20;
/** gdscheck opens every device there is. */
const PROGRAM_MS = 20_000;
/** A filesystem that takes longer for one stat is not one to serve from. */
const ANSWER_MS = 2_000;

/**
 * @param env - environment variables
 * @param spawns - false: no programs are run but the one that asks whether a filesystem answers
 */
export function thisMachine(env: Environment, spawns = true): System {
  const run = async (
    program: string,
    args: readonly string[],
    timeoutMs: number,
    more: Environment = {},
  ): Promise<Answer<string>> => {
    const { runProgram } = await import('./run-program.js');
    return runProgram(program, args, { env: { ...env, ...more }, timeoutMs });
  };
  const machine: System = {
    root: undefined,
    env,
    readText: (path) => attempt(() => readStart(path)),
    list: (path) => attempt(async () => (await readdir(path)).sort()),
    kind: (path) => attempt(() => kindOf(path)),
    readlink: (path) => attempt(() => readlink(path)),
    realpath: (path) => attempt(() => realpath(path)),
    writable: (path) =>
      attempt(async () => {
        await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
        return true as const;
      }),
    space: (path) =>
      attempt(async () => {
        const { bsize, blocks, bavail } = await statfs(path);
        return { total: bsize * blocks, available: bsize * bavail };
      }),
    addresses: () => attempt(() => Promise.resolve(ipv4Addresses())),
    run: (program, args, more) =>
      spawns ? run(program, args, PROGRAM_MS, more) : Promise.resolve({ errno: 'UNKNOWN' }),
    answers: async (path) => {
      // Asked by a process of its own: a call of ours that hangs in the kernel would keep this one from ending.
      const answer = await run('stat', ['-L', '--', path], ANSWER_MS);
      return 'errno' in answer && answer.errno === 'ETIMEDOUT' ? answer : { value: true };
    },
    cufileVersion: (configured) => loadCufile(machine, configured),
  };
  return machine;
}

/** As the engine finds it: by loading it. Where that fails, by what lies in the usual places. */
async function loadCufile(machine: System, configured: string | undefined): Promise<Answer<CufileLibrary>> {
  try {
    const { cufileVersion } = await import('../transfer.js');
    const loaded = cufileVersion(configured);
    if (!('failure' in loaded)) return { value: { path: loaded.path, version: loaded.version } };
  } catch {
    // No addon for this platform: the library can be found all the same.
  }
  return findCufile(machine, configured);
}

async function attempt<T>(action: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await action() };
  } catch (error) {
    return { errno: (error as NodeJS.ErrnoException).code ?? 'EIO' };
  }
}

/** Files of /proc and /sys tell no size, so the start is read piece by piece. */
async function readStart(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const pieces: Buffer[] = [];
    for (let bytes = 0; bytes < MOST_TEXT_BYTES;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(65_536), 0, 65_536, null);
      if (bytesRead === 0) break;
      pieces.push(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
    return Buffer.concat(pieces).toString('utf8', 0, MOST_TEXT_BYTES);
  } finally {
    await handle.close();
  }
}

async function kindOf(path: string): Promise<FileKind> {
  const found = await stat(path);
  if (found.isDirectory()) return 'directory';
  if (found.isFile()) return 'file';
  return found.isCharacterDevice() || found.isBlockDevice() ? 'device' : 'other';
}

function ipv4Addresses() {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => ({ name, address })),
  );
}
