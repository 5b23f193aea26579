/** Pinned copies to and from a GPU, the ceiling of whatever stages bytes: against the stand-in for CUDA. */
import { describe, expect, it } from 'vitest';
import { measureCopies, openDevice } from '../../src/transfer.js';
import { FAKES, control, held } from '../support/gpu.js';

const MIB = 2 ** 20;

async function session() {
  return (await openDevice({ index: 0, libcuda: FAKES.cuda, cufile: undefined })).session;
}

describe('pinned copies', () => {
  it('take some time each way, once a run, and leave nothing behind', async () => {
    const { toDevice, toHost } = await measureCopies(await session(), MIB, 3);
    expect([toDevice.length, toHost.length]).toEqual([3, 3]);
    expect(Math.min(...toDevice, ...toHost)).toBeGreaterThan(0);
    expect(held()).toMatchObject({ deviceBlocks: 0, pinnedBlocks: 0, streams: 0 });
  });

  it.each([
    ['cuMemHostAlloc', 'allocateHost:2', 'KVO_DEVICE_MEMORY'],
    ['cuMemAlloc', 'allocate:2', 'KVO_DEVICE_MEMORY'],
    ['cuStreamCreate', 'createStream:1', 'KVO_CUDA'],
    ['cuMemcpyAsync', 'toDeviceAsync:1', 'KVO_CUDA'],
    ['cuMemcpyAsync', 'toHostAsync:1', 'KVO_CUDA'],
  ] as const)(
    'that CUDA refuses at %s (%s) are an error that says so, and leave nothing behind',
    async (call, fault, code) => {
      const opened = await session();
      control(fault);
      const error: unknown = await measureCopies(opened, MIB, 1).catch((why: unknown) => why);
      expect(error).toMatchObject({ code });
      expect(String(error)).toContain(call);
      expect(held()).toMatchObject({ deviceBlocks: 0, pinnedBlocks: 0, streams: 0 });
    },
  );

  it.each([
    [0, 1],
    [1.5, 1],
    [MIB, 0],
    [NaN, 1],
  ])('of %d bytes, %d runs are refused', async (bytes, runs) => {
    await expect(measureCopies(await session(), bytes, runs)).rejects.toMatchObject({ code: 'KVO_ARGUMENT_INVALID' });
  });
});
