// @ts-check
/** Stores, and removes or spoils, a prompt's chunks without pause until a file appears; reports how many rounds it made. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/** @type {{ setup: import('./cache.mjs').Setup, chunks: number, spoil: boolean, stopAt: string }} */
const { setup, chunks, spoil, stopAt } = argument();
const engine = await openEngine(setup);
const prompt = tokens(chunks * CHUNK);
const sources = payloads(chunks);
await engine.store(prompt, sources);
const files = engine.prepare(prompt).sets[0]?.paths(0) ?? [];
process.stdout.write('\n');

/** @param {string} file */
function spoilFile(file) {
  const bytes = readFileSync(file);
  bytes[5000] ^= 0xff;
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
}

/** @param {string} file */
function removeFile(file) {
  rmSync(file, { force: true });
  rmSync(`${file}.metadata`, { force: true });
}

let rounds = 0;
while (!existsSync(stopAt)) {
  for (const [i, file] of files.entries()) if ((i + rounds) % 3 === 0) (spoil ? spoilFile : removeFile)(file);
  // Reading finds the spoiled ones, which the store then replaces.
  if (spoil) await engine.retrieve(prompt, targets(chunks));
  const result = await engine.store(prompt, sources);
  const failed = result.chunks.find((chunk) => chunk.outcome === 'failed');
  if (failed) throw failed.error;
  rounds++;
}
await engine.close();
report({ rounds });
