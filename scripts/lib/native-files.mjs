/** C++ of our own, vendored code left out. */
import { filesBelow } from './stamp.mjs';

/** @param {RegExp} ending */
export const nativeFiles = (ending) =>
  ['native', 'test/native', 'test/fakes', 'bench']
    .flatMap(filesBelow)
    .filter((file) => ending.test(file) && !file.startsWith('native/vendor/'));
