/** What of the GPU's work a call waits for. */
import { KVOffloadError } from '../errors.js';
import type { Wait } from '../plan.js';
import type { Transfer } from '../transfer.js';
import type { TransportInfo } from './transport.js';
import type { MoveOptions } from './types.js';

/** CUDA's handles are addresses. */
const DEVICE_HANDLES = 2n ** 64n;

/** What a batch is told to wait for. @throws KVOffloadError `KVO_ARGUMENT_INVALID`, `KVO_CUDA` */
export async function waitFor(
  transfer: Transfer,
  kind: TransportInfo['kind'],
  after: MoveOptions['after'],
): Promise<Wait | undefined> {
  if (after === undefined) return undefined;
  if (kind === 'host') {
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', 'after: the engine was opened for host memory; leave it out');
  }
  if (after === 'device') {
    await transfer.synchronize();
    return undefined;
  }
  const { event, stream } = after as { readonly event?: unknown; readonly stream?: unknown };
  const handle = event ?? stream;
  const known = typeof handle === 'bigint' && handle >= (event === undefined ? 0n : 1n) && handle < DEVICE_HANDLES;
  if (known && (event === undefined || stream === undefined)) return after;
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    "after is 'device', { event } or { stream }, with CUDA's handle as a bigint; an event is never 0",
  );
}
