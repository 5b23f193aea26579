'use strict';
const assert = require('node:assert/strict');
const { mkdtemp, rm } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const path = require('node:path');

const CHUNK = 16;
const MODEL = {
  modelName: 'smoke/model',
  kvDtype: 'float16',
  /** @type {[number, number, number, number, number]} */
  kvShape: [2, 2, CHUNK, 1, 8],
};

/**
 * Stores two chunks and gets them back, by the installed package.
 *
 * @param {typeof import('kv-offload')} library however it was loaded
 */
module.exports = async function roundTrip({ KVCacheEngine, KVOffloadError, loadConfig }) {
  const directory = await mkdtemp(path.join(tmpdir(), 'kv-offload-smoke-'));
  try {
    const config = await loadConfig({
      overrides: { weka_path: directory, chunk_size: CHUNK, cufile_buffer_size: 1 },
      env: {},
    });
    const engine = await KVCacheEngine.open(config, MODEL);
    const tokens = Array.from({ length: 2 * CHUNK }, (_, i) => i * 7);
    const bytes = 2 * 2 * CHUNK * 8 * 2;
    const sources = [1, 2].map((seed) => Uint8Array.from({ length: bytes }, (_, i) => i * seed));
    assert.equal(await engine.lookup(tokens), 0);
    const stored = await engine.store(tokens, sources);
    assert.deepEqual(
      stored.chunks.map((chunk) => chunk.outcome),
      ['stored', 'stored'],
    );
    assert.equal(await engine.lookup(tokens), 2 * CHUNK);
    const targets = sources.map(() => new Uint8Array(bytes));
    const retrieved = await engine.retrieve(tokens, targets);
    assert.equal(retrieved.tokens, 2 * CHUNK);
    assert.deepEqual(targets, sources);
    await engine.close();
    await assert.rejects(
      engine.lookup(tokens),
      (error) => error instanceof KVOffloadError && error.code === 'KVO_CLOSED',
    );
  } finally {
    await rm(directory, { recursive: true });
  }
};
