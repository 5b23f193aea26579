/** The examples, run as a reader would run them. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';

const run = promisify(execFile);
const example = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kv-offload-examples-'));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

describe('examples', () => {
  const cache = join(scratch, 'cache');

  it('serve: the second request comes from the cache, one with the same start in part', async () => {
    const { stdout, stderr } = await run(process.execPath, [example('serving/serve.mjs'), cache]);
    expect(stderr).toBe('');
    expect(stdout).toContain('first request: 0 tokens from the cache, 768 computed, 3 chunks');
    expect(stdout).toContain('same again: 768 tokens from the cache, 0 computed, 3 chunks');
    expect(stdout).toContain('other question, same system prompt: 512 tokens from the cache, 256 computed');
  });

  it('copy-chunks: copies what the other example stored, once, and says what is corrupt', async () => {
    const copy = join(scratch, 'copy');
    const script = example('scripts/copy-chunks.mjs');
    expect(JSON.parse((await run(process.execPath, [script, cache, copy])).stdout)).toMatchObject({
      stored: 4,
      failed: 0,
    });
    expect(JSON.parse((await run(process.execPath, [script, cache, copy])).stdout)).toMatchObject({ exists: 4 });
    const file = readdirSync(cache, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('.safetensors'),
    );
    writeFileSync(join(cache, file ?? ''), 'no chunk');
    await expect(run(process.execPath, [script, cache, join(scratch, 'third')])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('KVO_HEADER_INVALID') as string,
    });
  });

  it('share-with-lmcache: both files mean the same here, and neither has a surprise', async () => {
    const read = (file: string) => loadConfig({ env: {}, file: example(`share-with-lmcache/${file}`) });
    const [theirs, ours] = [await read('lmcache.yaml'), await read('kv-offload.yaml')];
    expect(JSON.stringify({ ...ours, explain: undefined })).toBe(JSON.stringify({ ...theirs, explain: undefined }));
    expect(ours).toMatchObject({ chunkSize: 256, paths: ['/mnt/weka/cache'], bufferMiB: 8192, ioThreads: 32 });
    expect([...ours.warnings, ...theirs.warnings]).toEqual([]);
  });
});
