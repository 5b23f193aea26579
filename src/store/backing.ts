/** The memory below the registered buffer's slots: the host's, or a GPU's. */
import { KVOffloadError } from '../errors.js';
import { MEMORY_ALIGNMENT, type Transfer, bytesToAlignment } from '../transfer.js';

/** How cuFile took a buffer. */
export interface Registration {
  readonly registered: 'whole' | 'pieces' | 'not';
  /** What it said to a better one. */
  readonly refused?: string;
}

/** The memory below the slots. */
export interface Backing {
  readonly transfer: Transfer;
  readonly region: number;
  readonly address?: bigint;
  readonly registration?: Registration;
  readonly view: (offset: number, bytes: number) => Uint8Array;
  readonly copy: (offset: number, host: Uint8Array, into: boolean) => void;
}

/** A SharedArrayBuffer, since nobody can detach one while bytes move into it. */
export function hostBacking(transfer: Transfer, bytes: number, bufferMiB: number): Backing {
  const buffer = allocate(bytes + MEMORY_ALIGNMENT, bufferMiB);
  const start = bytesToAlignment(new Uint8Array(buffer, 0, MEMORY_ALIGNMENT));
  const view = (offset: number, length: number) => new Uint8Array(buffer, start + offset, length);
  return {
    transfer,
    region: transfer.addRegion(view(0, MEMORY_ALIGNMENT), bytes, true),
    view,
    copy: (offset, host, into) => {
      const slot = view(offset, host.byteLength);
      if (into) slot.set(host);
      else host.set(slot);
    },
  };
}

export async function deviceBacking(transfer: Transfer, bytes: number, bufferMiB: number): Promise<Backing> {
  const what = `the buffer of ${bufferMiB} MiB (cufile_buffer_size)`;
  const { region, address, registered, refused } = await transfer.addDeviceMemory({ bytes: BigInt(bytes) }, what);
  return {
    transfer,
    region,
    address,
    registration: { registered, ...(refused && { refused: `${refused.call}: ${refused.text} (${refused.code})` }) },
    view: () => {
      throw new KVOffloadError(
        'KVO_MEMORY_INVALID',
        'the slot lies in GPU memory, which has no bytes here; use its address, or copyFrom() and copyTo()',
      );
    },
    copy: (offset, host, into) => {
      transfer.copyDevice(region, offset, host, into);
    },
  };
}

function allocate(bytes: number, bufferMiB: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_CONFIG_INVALID_VALUE',
      `cufile_buffer_size is ${bufferMiB} MiB, which this process cannot allocate; set a smaller one`,
      cause,
    );
  }
}
