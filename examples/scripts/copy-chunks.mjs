// @ts-check
/**
 * Copies one model's chunks from a cache directory to another, comparing their sums on the way: what a script does that
 * warms a new filesystem.
 *
 *     node examples/scripts/copy-chunks.mjs FROM TO [MODEL]
 */
import { ChunkFiles, KVOffloadError, loadConfig } from 'kv-offload';

const [from, to, model] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error('usage: copy-chunks.mjs FROM TO [MODEL]');
  process.exit(2);
}
const source = await ChunkFiles.open(await loadConfig({ overrides: { weka_path: from } }));
const target = await ChunkFiles.open(await loadConfig({ overrides: { weka_path: to } }));
const count = { stored: 0, exists: 0, unverified: 0, failed: 0 };
try {
  for await (const { key, path, problem } of source.listChunks()) {
    if (key === undefined || (model !== undefined && !key.startsWith(`${model}@`))) continue;
    try {
      if (problem) throw problem;
      const { dtype, shape, format, bytes, verified } = await source.readChunk({ path });
      count[await target.writeChunk(key, { dtype, shape, format }, bytes)]++;
      if (!verified) count.unverified++;
    } catch (error) {
      // A chunk may be corrupt, or vanish while it is read: the others are copied all the same.
      if (!(error instanceof KVOffloadError)) throw error;
      count.failed++;
      console.error(`${error.message} [${error.code}]`);
    }
  }
} finally {
  await source.close();
  await target.close();
}
console.log(JSON.stringify(count));
process.exitCode = count.failed === 0 ? 0 : 1;
