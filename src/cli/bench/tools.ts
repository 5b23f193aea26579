/** The programs that a run measures beside ours, and what it says where one is missing. */
import { join } from 'node:path';
import { type Config, deviceNumber } from '../../config/index.js';
import { fioVersion } from './contenders.js';
import { type PlainGpuOptions, cufileTrouble, findPlainGpu, plainGpuTrouble } from './plain-gpu.js';
import { findPlainIo } from './plain-io.js';

/** What there is to measure with. */
export interface Tools {
  readonly plainIo: string | undefined;
  readonly plainGpu: PlainGpuOptions | undefined;
  readonly fio: boolean;
  readonly version: string | undefined;
}

/** Contenders beside ours, in host memory. */
export function contendersOf(peers: boolean, { plainIo, fio }: Tools): number {
  return (peers ? 2 : 0) + (plainIo === undefined ? 0 : 1) + (fio ? 2 : 0);
}

export async function findTools(peers: boolean, note: (text: string) => void): Promise<Tools> {
  if (!peers) {
    note('no ceilings but memcpy and no peers: --no-peers was given');
    return { plainIo: undefined, plainGpu: undefined, fio: false, version: undefined };
  }
  const plain = await findPlainIo();
  if ('missing' in plain) note(`no plain C++ rows: ${plain.missing}`);
  const version = await fioVersion();
  if (version === undefined) note('no fio rows: fio is not installed');
  const plainIo = 'program' in plain ? plain.program : undefined;
  return { plainIo, plainGpu: undefined, fio: version !== undefined, version };
}

/** @param peers - whether any are wanted, and the Python that has some */
export async function findGpuTools(
  config: Config,
  { peers, python }: { readonly peers: boolean; readonly python: string | undefined },
  note: (text: string) => void,
): Promise<Tools> {
  note('no memcpy, fio, fs.promises and FileHandle rows: they end in host memory; --device cpu measures them');
  const none = { plainIo: undefined, plainGpu: undefined, fio: false, version: undefined };
  if (!peers) {
    note('no ceilings but pinned copies and no peers: --no-peers was given');
    return none;
  }
  if (python === undefined) note('no rows of LMCache, KvikIO and NIXL: --peers names no Python that has them');
  const stat = await findPlainIo();
  return {
    ...none,
    plainIo: 'program' in stat ? stat.program : undefined,
    plainGpu: await findPlain(config, note),
  };
}

async function findPlain(config: Config, note: (text: string) => void): Promise<PlainGpuOptions | undefined> {
  const found = await findPlainGpu();
  const index = deviceNumber(config.device) ?? 0;
  const { libcudaPath: libcuda, libcufilePath: libcufile } = config;
  const plain = 'program' in found ? { program: found.program, libcuda, libcufile, index } : undefined;
  const missing = 'missing' in found ? found.missing : plain && (await plainGpuTrouble(plain));
  if (missing === undefined) return plain;
  note(`no plain C++ rows: ${missing}`);
  return undefined;
}

/** The same program where cuFile by itself moves files below a directory. */
export async function findCufile(
  plain: PlainGpuOptions,
  directory: string,
  note: (text: string) => void,
): Promise<PlainGpuOptions | undefined> {
  const missing = await cufileTrouble(plain, join(directory, 'cufile-trial'));
  if (missing === undefined) return plain;
  note(`no rows of cuFile by itself: ${missing}`);
  return undefined;
}
