// @ts-check
/** A directory for the demo's half GiB that goes away however the demo ends. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** The chunks of both parts, and room to spare. */
const NEEDED_MIB = 600;

/**
 * @template T
 * @param {string} parent directory to make it in
 * @param {(directory: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withScratch(parent, use) {
  await mkdir(parent, { recursive: true });
  const { bavail, bsize } = await statfs(parent);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB < NEEDED_MIB) {
    throw new Error(`${parent} has ${freeMiB} MiB free and the demo needs ${NEEDED_MIB}: give it another directory`);
  }
  const directory = await mkdtemp(join(parent, 'kv-offload-demo-'));
  // For a process.exit() elsewhere, which no finally survives.
  const atExit = () => rmSync(directory, { recursive: true, force: true });
  process.on('exit', atExit);
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', atExit);
  }
}
