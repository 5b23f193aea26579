/** What a shared object asks of the machine that loads it, as objdump tells. */
import { createRequire } from 'node:module';
import { inRoot } from './paths.mjs';
import { quiet } from './run.mjs';

/** The newest versions that Debian 12 and Ubuntu 22.04 have: where binaries are built, they must not pass these. */
const FLOORS = { GLIBC: '2.34', GLIBCXX: '3.4.29', CXXABI: '1.3.13' };
const NAPI_VERSION = 9;

/**
 * @param {string} a dotted numbers
 * @param {string} b
 */
function isNewer(a, b) {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  const at = left.findIndex((part, i) => part !== (right[i] ?? 0));
  return at !== -1 && left[at] > (right[at] ?? 0);
}

/** Every function of Node-API up to our version. */
function nodeApi() {
  const { symbols } = createRequire(inRoot('package.json'))('node-api-headers');
  const versions = Object.keys(symbols).filter((key) => /^v\d+$/.test(key) && Number(key.slice(1)) <= NAPI_VERSION);
  return new Set(versions.flatMap((key) => [...symbols[key].js_native_api_symbols, ...symbols[key].node_api_symbols]));
}

/**
 * Throws where the addon needs a newer C library, C++ library or Node-API than the floor.
 *
 * @param {string} addon
 * @returns the versions it needs, in words
 */
export async function checkFloors(addon) {
  const { stdout } = await quiet('objdump', ['objdump', '-T', addon]);
  const needs = Object.entries(FLOORS).map(([library, floor]) => {
    const found = [...stdout.matchAll(new RegExp(`\\b${library}_([\\d.]+)`, 'g'))].map((match) => match[1]);
    const newest = found.reduce((a, b) => (isNewer(b, a) ? b : a), '0');
    if (isNewer(newest, floor)) throw new Error(`${addon} needs ${library} ${newest}, newer than ${floor}`);
    return `${library} ${newest}`;
  });
  const known = nodeApi();
  const used = [...stdout.matchAll(/\*UND\*.*\s((?:napi|node_api)_\w+)$/gm)].map((match) => match[1]);
  const unknown = used.filter((name) => !known.has(name));
  if (used.length === 0) throw new Error(`${addon} uses no Node-API function: is it an addon?`);
  if (unknown.length > 0) throw new Error(`${addon} uses what Node-API ${NAPI_VERSION} has not: ${unknown.join(', ')}`);
  return needs.join(', ');
}
