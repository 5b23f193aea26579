/** The settings of a pool of I/O threads that a configuration means. */
import type { Config } from '../config/index.js';
import type { TransferOptions } from '../transfer.js';

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
