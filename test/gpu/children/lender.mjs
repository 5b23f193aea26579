// @ts-check
/** A process with GPU memory of its own, for another to open: says how, and answers each line with what it holds. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { argument } from '../../process/children/cache.mjs';
import { openEngine } from './gpu.mjs';

/** @type {{ setup: import('./gpu.mjs').Setup, bytes: number }} */
const { setup, bytes } = argument();
const engine = await openEngine(setup);
const memory = await engine.allocateDevice(bytes);
memory.copyFrom(Buffer.alloc(bytes, 1));
console.log(Buffer.from(memory.ipcHandle()).toString('hex'));
for await (const _ of createInterface({ input: process.stdin })) {
  const held = Buffer.alloc(bytes);
  memory.copyTo(held);
  console.log(createHash('sha256').update(held).digest('hex'));
}
await engine.close();
