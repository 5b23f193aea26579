// Loads the addon: KV_OFFLOAD_ADDON where set, a clone's own build, else a prebuilt binary for this platform.
'use strict';
const { existsSync } = require('node:fs');
const { join, resolve } = require('node:path');

const root = join(__dirname, '..');
const built = join(root, '.cmake', 'build', 'Release', 'kv_offload.node');
const chosen = process.env.KV_OFFLOAD_ADDON;

function load() {
  if (chosen) return require(resolve(chosen));
  if (existsSync(built)) return require(built);
  return require('node-gyp-build')(root);
}

try {
  module.exports = load();
} catch (error) {
  // Importing the library must work without a binary: src/native.ts says so when it is needed, and what builds it.
  module.exports = { failure: error };
}
