/** Every error code, each provoked as a user would meet it. A code that is added without an entry here fails. */
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode, KVCacheEngine, KVOffloadError, loadConfig } from '../../src/index.js';
import type { StoreResult, RetrieveResult } from '../../src/index.js';
import { encodeHeader } from '../../src/layout/index.js';
import {
  CHUNK,
  CHUNK_BYTES,
  MODEL,
  type Setup,
  configOf,
  openEngine,
  payloads,
  targets,
  wholeOf,
} from '../support/engine.js';
import { childResult } from '../support/child.js';
import { control, fakeGpu } from '../support/gpu.js';
import { onlyDataFile, temporaryDirectory } from '../support/directories.js';
import { writeLmcacheFile } from '../support/lmcache-files.js';
import { rejection } from '../support/outcomes.js';
import { payload, tokens } from '../support/payload.js';

const prompt = tokens(CHUNK);
const config = (overrides: Record<string, unknown>) => rejection(loadConfig({ env: {}, overrides }));
const opening = (setup: Partial<Setup>) => rejection(openEngine({ base: temporaryDirectory(), ...setup }));
const open = (setup: Partial<Setup> = {}) => openEngine({ base: temporaryDirectory(), ...setup });

function only(result: StoreResult | RetrieveResult): KVOffloadError {
  const error = result.chunks[0]?.error;
  return error ?? expect.fail('the chunk has no error');
}
const storing = async (setup: Partial<Setup>) => only(await (await open(setup)).store(prompt, payloads(1)));

/** A chunk in a file whose bytes were changed. */
async function spoiled(change: (file: Buffer) => Buffer) {
  const base = temporaryDirectory();
  const engine = await open({ base });
  await engine.store(prompt, payloads(1));
  writeFileSync(onlyDataFile(base), change(readFileSync(onlyDataFile(base))));
  return only(await engine.retrieve(prompt, targets(1)));
}

const provoke: Record<ErrorCode, () => Promise<KVOffloadError>> = {
  KVO_CONFIG_UNKNOWN_KEY: () => config({ chunk_sise: 256 }),
  KVO_CONFIG_INVALID_VALUE: () => config({ chunk_size: 'many' }),
  KVO_CONFIG_CONFLICT: () => config({ weka_path: '/a', gds_path: '/b' }),
  KVO_CONFIG_PARSE: () => {
    const file = join(temporaryDirectory(), 'config.yaml');
    writeFileSync(file, 'chunk_size: [');
    return rejection(loadConfig({ env: {}, file }));
  },
  KVO_CONFIG_FILE: () => rejection(loadConfig({ env: {}, file: '/nonexistent/config.yaml' })),

  KVO_ARGUMENT_INVALID: async () => rejection((await open()).lease(-1)),
  KVO_TOKENS_INVALID: async () => rejection((await open()).lookup([1, -1])),
  KVO_MASK_INVALID: async () => rejection((await open()).lookup(prompt, { skipTokens: 1 })),
  KVO_MODEL_INVALID: () => opening({ model: { kvShape: [2, 2, CHUNK + 1, 2, 8] } }),
  KVO_DTYPE_UNKNOWN: () => opening({ model: { kvDtype: 'bfloat61' } }),
  KVO_SHAPE_MISMATCH: async () => rejection((await open()).store(prompt, [new Uint8Array(1)])),
  KVO_KEY_INVALID: async () => rejection((await open()).readChunk({ key: 'no key' })),
  KVO_KEY_TOO_LONG: async () => {
    const engine = await open({ model: { modelName: 'm'.repeat(200) } });
    return rejection(engine.store(prompt, payloads(1)));
  },
  KVO_MEMORY_INVALID: async () => {
    const buffer = new ArrayBuffer(CHUNK_BYTES);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    return rejection((await open()).store(prompt, [view]));
  },
  KVO_UNSUPPORTED: () =>
    opening({ settings: { use_layerwise: true }, model: { useMla: true, kvShape: [2, 1, CHUNK, 1, 8] } }),

  KVO_PATH_UNUSABLE: () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    return opening({ base: file });
  },
  KVO_READ_ONLY: () => storing({ faults: 'open:EROFS' }),
  KVO_PERMISSION: () => storing({ faults: 'open:EACCES' }),
  KVO_NO_SPACE: () => storing({ faults: 'pwritev:ENOSPC' }),
  KVO_TOO_MANY_FILES: () => storing({ faults: 'open:EMFILE' }),
  KVO_IO: () => storing({ faults: 'pwritev:EIO' }),
  KVO_IO_STUCK: () => storing({ faults: 'stat:delay=3600000@1x1', settings: { blocking_timeout_secs: 0.05 } }),
  KVO_NOT_FOUND: async () => rejection((await open()).readChunk({ key: 'm@1@0@abc@half' })),
  KVO_HEADER_INVALID: () => spoiled((file) => file.fill(0, 0, 8)),
  KVO_CHUNK_CORRUPT: () => spoiled((file) => file.fill(0, 4096)),
  KVO_CHUNK_COLLISION: async () => {
    const engine = await open();
    const extras = { prefix: 'ab'.repeat(32) };
    const { bytes } = encodeHeader({ dtype: 'BF16', shape: [2, 2, CHUNK, 16], format: 1, extras });
    writeLmcacheFile(wholeOf(engine.prepare(prompt)).paths(0)[0] ?? '', Buffer.from(bytes), payload(1, CHUNK_BYTES));
    return only(await engine.store(prompt, payloads(1)));
  },

  KVO_CLOSED: async () => {
    const engine = await open();
    await engine.close();
    return rejection(engine.lookup(prompt));
  },
  KVO_ABORTED: async () => rejection((await open()).lookup(prompt, { signal: AbortSignal.abort() })),
  KVO_BUSY: async () => {
    const engine = await open();
    await engine.lease(engine.stats().slots.total);
    return rejection(engine.lease(1, { timeoutMs: 1 }));
  },
  KVO_SLOT_RELEASED: async () => {
    const engine = await open();
    const slots = await engine.lease(1);
    for (const slot of slots) slot.release();
    return rejection(engine.store(prompt, slots));
  },
  KVO_NOT_FIRST_RANK: () =>
    storing({ model: { useMla: true, kvShape: [2, 1, CHUNK, 1, 32], worldSize: 2, workerId: 1 } }),
  KVO_DEVICE_UNAVAILABLE: () => opening({ own: fakeGpu({ device: 'cuda:7' }) }),
  KVO_DEVICE_MEMORY: () => {
    control('allocate:above=1');
    return opening({ own: fakeGpu(), settings: { cufile_buffer_size: 64 } });
  },
  KVO_CUDA: async () => {
    const engine = await open({ own: fakeGpu({ transport: 'staged' }) });
    control('toDeviceAsync:1;toHostAsync:1');
    return only(await engine.store(prompt, await engine.lease(1)));
  },
  KVO_GDS: async () => {
    const engine = await open({ own: fakeGpu({ transport: 'gds' }) });
    control('write:5027');
    return only(await engine.store(prompt, await engine.lease(1)));
  },
  KVO_TRANSPORT_UNAVAILABLE: () => opening({ own: { require_gds: true } }),
  // In a process of its own, since this one has loaded the addon.
  KVO_NATIVE_MISSING: async () => {
    const env = { KV_OFFLOAD_ADDON: join(temporaryDirectory(), 'nothing.node') };
    const { refused } = await childResult<{ refused: ErrorCode }>('open', { base: temporaryDirectory() }, { env });
    return new KVOffloadError(refused, 'as the child was told');
  },
};

describe('the table of codes', () => {
  it('is shown here whole', () => {
    expect(Object.keys(provoke).sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  it.each(Object.entries(provoke))('%s', async (code, make) => {
    const error = await make();
    expect(error).toBeInstanceOf(KVOffloadError);
    expect(error).toBeInstanceOf(Error);
    expect([error.code, error.name]).toEqual([code, 'KVOffloadError']);
    expect(error.retriable).toBe(ERROR_CODES[code as ErrorCode].retriable);
    expect(error.message.length).toBeGreaterThan(15);
  });
});

describe('an engine that is refused', () => {
  it('does not come to be: nothing is left open', async () => {
    const base = join(temporaryDirectory(), 'cache');
    const refused = KVCacheEngine.open(await configOf({ base, own: { require_gds: true } }), MODEL);
    expect(await rejection(refused)).toMatchObject({ code: 'KVO_TRANSPORT_UNAVAILABLE' });
    expect(() => readFileSync(base)).toThrow('ENOENT');
  });
});
