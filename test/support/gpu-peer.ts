/** Another process with memory on the same fake GPU: test/fakes/peer.cc. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, onTestFinished } from 'vitest';
import { FAKES } from './gpu.js';

export interface GpuPeer {
  readonly pid: string;
  readonly allocate: (bytes: number) => Promise<{ address: bigint; handle: Buffer }>;
  /** Has it write bytes 7 into all of an allocation, by its stream; the IPC handle of an event behind that. */
  readonly later: (address: bigint) => Promise<Buffer>;
  readonly free: (address: bigint) => Promise<void>;
}

/** Lives as long as the test. */
export function gpuPeer(settings: Readonly<Record<`KVO_FAKE_${string}`, string>> = {}): GpuPeer {
  const child = spawn(FAKES.peer, [FAKES.cuda], {
    env: { ...process.env, ...settings },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  onTestFinished(() => {
    child.stdin.end();
  });
  const ask = async (line: string): Promise<string[]> => {
    child.stdin.write(`${line}\n`);
    return ((await lines.next()).value as string).split(' ');
  };
  return {
    pid: String(child.pid),
    allocate: async (size) => {
      const [address = '', handle = ''] = await ask(`allocate ${size}`);
      return { address: BigInt(address), handle: Buffer.from(handle, 'hex') };
    },
    later: async (address) => {
      const [handle = ''] = await ask(`later ${address}`);
      return Buffer.from(handle, 'hex');
    },
    free: async (address) => {
      expect(await ask(`free ${address}`)).toEqual(['ok']);
    },
  };
}
