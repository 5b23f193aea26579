/** Stamps: a step is done when the content of what it depends on is what it was when it last succeeded. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { inRoot } from './paths.mjs';

/**
 * Files below a path of the clone, or the path itself, sorted; none where it does not exist.
 *
 * @param {string} path
 * @returns {string[]}
 */
export function filesBelow(path) {
  let entries;
  try {
    entries = readdirSync(inRoot(path), { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path];
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  return entries
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(`${path}/${entry.name}`) : [`${path}/${entry.name}`]))
    .sort();
}

/**
 * SHA-256 over names and contents of files and folders of the clone, and over `words`.
 *
 * @param {string[]} paths
 * @param {string[]} words
 */
export function contentHash(paths, words = []) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesBelow)) {
    const content = readFileSync(inRoot(file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.update(JSON.stringify(words)).digest('hex');
}

/** @param {string} name */
const stampFile = (name) => inRoot('.cache', 'stamps', name);

/**
 * @param {string} name
 * @param {string} hash
 */
export function isFresh(name, hash) {
  try {
    return readFileSync(stampFile(name), 'utf8') === hash;
  } catch {
    return false;
  }
}

/**
 * Called before a step begins, so that one that is killed half-way is not taken for done.
 *
 * @param {string} name
 */
export function clearStamp(name) {
  rmSync(stampFile(name), { force: true });
}

/**
 * @param {string} name
 * @param {string} hash
 */
export function writeStamp(name, hash) {
  mkdirSync(dirname(stampFile(name)), { recursive: true });
  writeFileSync(stampFile(name), hash);
}
