/** Importing works without a binary; using one says which command builds it. */
import assert from 'node:assert/strict';
import * as library from 'kv-offload';
import roundTrip from './round-trip.cjs';

await assert.rejects(roundTrip(library), (/** @type {Error & { code: string }} */ error) => {
  assert.equal(error.code, 'KVO_NATIVE_MISSING', error.stack);
  assert.match(error.message, /node node_modules\/kv-offload\/scripts\/build-addon\.mjs/);
  return true;
});
console.log('without binary: ok');
