/** What of the GPU's work a call waits for. */
import { KVOffloadError } from '../errors.js';
import type { Wait } from '../plan.js';
import type { Transfer } from '../transfer.js';
import type { TransportInfo } from './transport.js';
import type { MoveOptions } from './types.js';

/** CUDA's handles are addresses. */
const DEVICE_HANDLES = 2n ** 64n;
/** CU_IPC_HANDLE_SIZE. */
const IPC_HANDLE_BYTES = 64;

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
  const { event, stream, eventHandle } = ((after as unknown) ?? {}) as Readonly<Record<keyof Wait, unknown>>;
  const given = [event, stream, eventHandle].filter((one) => one !== undefined);
  if (given.length === 1 && (isHandle(event, 1n) || isHandle(stream, 0n))) return after;
  // A copy: a batch in pieces reads it more than once.
  if (given.length === 1 && isIpcHandle(eventHandle)) return { eventHandle: Uint8Array.from(eventHandle) };
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    "after is 'device', { event } or { stream } with CUDA's handle as a bigint, never 0 for an event, or { eventHandle } with 64 bytes",
  );
}

function isHandle(value: unknown, least: bigint): boolean {
  return typeof value === 'bigint' && value >= least && value < DEVICE_HANDLES;
}

function isIpcHandle(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength === IPC_HANDLE_BYTES;
}
