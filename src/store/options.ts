/** The settings of a pool of I/O threads that a configuration means. */
import type { Config } from '../config/index.js';
import type { TransferOptions } from '../transfer.js';

/** What the user has not set, by the property's name. */
function isDefault(config: Config, property: keyof Config): boolean {
  return config.explain().find((row) => row.property === property)?.source === 'default';
}

/** cuFile's calls block their threads: WEKA's own tools take 32 to 48 a GPU. */
const GDS_THREADS = 32;

/** Threads, once it is known how bytes move. */
export function threadsFor(config: Config, gds: boolean): number {
  return gds && isDefault(config, 'ioThreads') ? GDS_THREADS : config.ioThreads;
}

/** For {@link Transfer}'s constructor. */
export function transferOptions(config: Config): TransferOptions {
  return {
    ioThreads: config.ioThreads,
    sliceBytes: config.sliceMiB * 2 ** 20,
    directIo: config.useDirectIo,
    openFiles: config.openFiles,
    timeoutMs: Math.ceil(config.blockingTimeoutSecs * 1000),
  };
}
