/** Memory of a GPU that an engine's calls may name. */
import { KVOffloadError } from '../errors.js';
import type { AddedDeviceMemory, DeviceMemoryOptions, Transfer } from '../transfer.js';

/** Another process's allocation: its CUDA IPC handle, and which part of it. */
export interface IpcMemory {
  /** 64 bytes of cudaIpcGetMemHandle, or the 66 in which torch exports it. */
  readonly handle: Uint8Array;
  /** Bytes from the allocation's start. Default 0. */
  readonly offset?: number;
  /** Bytes. */
  readonly byteLength: number;
}

/** torch's export: a version, a letter for the kind of allocation, and for `c` the handle. */
const TORCH_BYTES = 66;
const TORCH_VERSION = 2;
const TORCH_CUDA_MALLOC = 'c'.charCodeAt(0);
const TORCH_EXPANDABLE = 'e'.charCodeAt(0);
const HANDLE_BYTES = 64;

/** Device memory that stays registered until it is released: the caller's, another process's, or the engine's own. */
export class DeviceRegion {
  /** The engine's number of it. */
  readonly region: number;
  /** Its device address. */
  readonly address: bigint;
  /** Its length in bytes. */
  readonly byteLength: number;
  /** As what cuFile knows it: one registration, pieces of 16 MiB, or none (always, where cuFile is not in use). */
  readonly registered: 'whole' | 'pieces' | 'not';
  readonly #transfer: Transfer;
  #released = false;

  /** @internal */
  constructor(transfer: Transfer, added: AddedDeviceMemory, byteLength: number) {
    this.#transfer = transfer;
    this.region = added.region;
    this.address = added.address;
    this.registered = added.registered;
    this.byteLength = byteLength;
  }

  /** @internal */
  static async add(transfer: Transfer, options: DeviceMemoryOptions, what: string): Promise<DeviceRegion> {
    return new DeviceRegion(transfer, await transfer.addDeviceMemory(options, what), Number(options.bytes));
  }

  /**
   * Copies bytes from host memory, at once and after all work given to the default stream; for filling and tests.
   *
   * @param offset - bytes from the region's start; default 0
   * @throws KVOffloadError `KVO_MEMORY_INVALID` outside the region or after release, `KVO_CUDA`
   */
  copyFrom(source: NodeJS.ArrayBufferView, offset = 0): void {
    this.#transfer.copyDevice(this.region, offset, this.#checked(source, offset), true);
  }

  /** Copies bytes to host memory. As {@link copyFrom}. */
  copyTo(target: NodeJS.ArrayBufferView, offset = 0): void {
    this.#transfer.copyDevice(this.region, offset, this.#checked(target, offset), false);
  }

  /**
   * The CUDA IPC handle, 64 bytes, by which another process opens the memory while this one keeps it.
   *
   * @throws KVOffloadError `KVO_CUDA` where the driver refuses: memory of a pool, or an opened handle
   */
  ipcHandle(): Uint8Array {
    return this.#transfer.exportRegion(this.region);
  }

  /** True once it is no longer registered; false while a call uses it. */
  release(): boolean {
    this.#released ||= this.#transfer.releaseRegion(this.region);
    return this.#released;
  }

  /** @internal */
  isOf(transfer: Transfer): boolean {
    return transfer === this.#transfer && !this.#released;
  }

  #checked(host: NodeJS.ArrayBufferView, offset: number): Uint8Array {
    const inside = Number.isSafeInteger(offset) && offset >= 0 && offset + host.byteLength <= this.byteLength;
    if (this.#released || !inside) {
      throw new KVOffloadError(
        'KVO_MEMORY_INVALID',
        this.#released
          ? 'the device memory was released'
          : `${host.byteLength} bytes from ${String(offset)} lie outside of the ${this.byteLength} of the device memory`,
      );
    }
    return new Uint8Array(host.buffer, host.byteOffset, host.byteLength);
  }
}

/** @throws KVOffloadError `KVO_MEMORY_INVALID` for what is no device address, or no length */
export function checkDeviceRange(address: unknown, byteLength: unknown): { address: bigint; bytes: bigint } {
  if (typeof address !== 'bigint' || address <= 0n || address >= 2n ** 64n) {
    throw new KVOffloadError(
      'KVO_MEMORY_INVALID',
      `device address ${String(address)} is no bigint from 1 to 2^64 - 1; pass the pointer as BigInt`,
    );
  }
  const bytes = checkLength(byteLength);
  if (address + bytes > 2n ** 64n) {
    throw new KVOffloadError('KVO_MEMORY_INVALID', `device memory of ${bytes} bytes from ${address} passes 2^64`);
  }
  return { address, bytes };
}

/** @throws KVOffloadError `KVO_MEMORY_INVALID` for what is no handle, or none that can be opened */
export function checkIpc({ handle, offset = 0, byteLength }: IpcMemory): DeviceMemoryOptions {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new KVOffloadError('KVO_MEMORY_INVALID', `IPC offset ${String(offset)} is no integer from 0 up`);
  }
  return { handle: plainHandle(handle), offset: BigInt(offset), bytes: checkLength(byteLength) };
}

function checkLength(byteLength: unknown): bigint {
  if (Number.isSafeInteger(byteLength) && (byteLength as number) > 0) return BigInt(byteLength as number);
  throw new KVOffloadError('KVO_MEMORY_INVALID', `a length of ${String(byteLength)} bytes is no integer from 1 up`);
}

function plainHandle(handle: unknown): Uint8Array {
  const bytes = handle instanceof Uint8Array ? handle : new Uint8Array(0);
  if (bytes.length === HANDLE_BYTES) return bytes;
  const [version, kind] = bytes;
  if (bytes.length === TORCH_BYTES && version === TORCH_VERSION && kind === TORCH_CUDA_MALLOC) return bytes.subarray(2);
  if (version === TORCH_VERSION && kind === TORCH_EXPANDABLE) {
    throw new KVOffloadError(
      'KVO_MEMORY_INVALID',
      'the IPC handle is of an expandable segment, which other processes cannot open so; run the other process without PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True',
    );
  }
  throw new KVOffloadError(
    'KVO_MEMORY_INVALID',
    `an IPC handle of ${bytes.length} bytes is neither CUDA's 64 nor torch's 66; pass storage._share_cuda_()[1], or cudaIpcGetMemHandle's`,
  );
}
