/** Where things lie in a clone. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** @param {string[]} parts */
export const inRoot = (...parts) => join(root, ...parts);

/**
 * A script of an installed package, to be run by this Node rather than through npx.
 *
 * @param {string} path below node_modules
 */
export const tool = (path) => inRoot('node_modules', path);
