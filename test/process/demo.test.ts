/** The demo as a user runs it, over the built package; and that it fails, and cleans up, when it should. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const demo = fileURLToPath(new URL('../../examples/demo/', import.meta.url));
const run = promisify(execFile);

interface Summary {
  ok: boolean;
  story: { newTokens: number; sameAsWithoutCache: boolean; sameAsGolden: boolean };
  serving: { diverging: { cachedTokens: number } };
  transfers: { tokens: number; chunks: number; bytes: number; pid: number }[];
}

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'demo-test-'));
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

const environment = () => ({ ...process.env, TMPDIR: scratch });

/** Runs one step in a directory of ours. */
const step = (name: string) => run(process.execPath, [join(demo, 'step.mjs'), name, scratch]);

/** The largest file below a directory. */
async function largestFile(directory: string): Promise<string> {
  const names = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    names.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path, size: (await stat(path)).size };
    }),
  );
  return sizes.sort((a, b) => b.size - a.size)[0]?.path ?? 'none';
}

describe('demo', () => {
  it('moves both parts between processes, and leaves nothing behind', { timeout: 60_000 }, async () => {
    const { stdout } = await run(process.execPath, [join(demo, 'main.mjs'), '--json'], { env: environment() });
    const summary = JSON.parse(stdout) as Summary;
    expect(summary.ok).toBe(true);
    expect(summary.story).toMatchObject({ newTokens: 47, sameAsWithoutCache: true, sameAsGolden: true });
    expect(summary.serving.diverging.cachedTokens).toBe(1280);
    expect(summary.transfers.map(({ tokens, chunks, bytes }) => [tokens, chunks, bytes])).toEqual([
      [300, 2, 300 * 1280],
      [300, 2, 300 * 1280],
      [4096, 16, 512 * 2 ** 20],
      [4096, 16, 512 * 2 ** 20],
      [1280, 5, 160 * 2 ** 20],
    ]);
    expect(new Set(summary.transfers.map(({ pid }) => pid)).size).toBe(5);
    expect(await readdir(scratch)).toEqual([]);
  });

  it('stops on SIGINT with its directory removed', { timeout: 60_000 }, async () => {
    const child = spawn(process.execPath, [join(demo, 'main.mjs')], { env: environment() });
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    child.stdout.once('data', () => child.kill('SIGINT'));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(1);
    expect(complaint).toContain('stopped by SIGINT');
    expect(await readdir(scratch)).toEqual([]);
  });

  it('fails when a stored chunk was changed', { timeout: 60_000 }, async () => {
    await step('storeStory');
    const file = await open(await largestFile(scratch), 'r+');
    await file.write(Buffer.from([0x55]), 0, 1, 4096 + 1000);
    await file.close();
    await expect(step('continueFromCache')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('chunk 0 came back as corrupt') as string,
    });
  });

  it('fails when what it looks for is not there', { timeout: 60_000 }, async () => {
    await expect(step('continueFromCache')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('lookup found 0 of 300 tokens') as string,
    });
  });
});
