/** What a machine must have, and the words for a machine that has it not. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const MINIMUM_NODE = [20, 19];

/**
 * Whether an executable of that name is on PATH.
 *
 * @param {string} name
 */
export function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Says what is wrong with this Node, or nothing. */
export function nodeProblem() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return undefined;
  return `kv-offload needs Node.js ${MINIMUM_NODE.join('.')} or later; this is ${process.versions.node}. Install a newer one from https://nodejs.org`;
}

/** Any one of `names` serves; `debian` is the package that brings the first. */
const TOOLS = {
  cmake: { names: ['cmake'], debian: 'cmake' },
  make: { names: ['make', 'ninja'], debian: 'make' },
  compiler: { names: ['g++', 'c++', 'clang++'], debian: 'g++' },
  python: { names: ['python3'], debian: 'python3' },
};

/**
 * Says which tools are missing and how to get them, or nothing. A compiler named by CXX counts.
 *
 * @param {(keyof typeof TOOLS)[]} wanted
 */
export function toolProblem(wanted) {
  const missing = wanted
    .filter((key) => !(key === 'compiler' && process.env.CXX))
    .map((key) => TOOLS[key])
    .filter((tool) => !tool.names.some(onPath));
  if (missing.length === 0) return undefined;
  const names = missing.map((tool) => tool.names[0]).join(', ');
  const packages = missing.map((tool) => tool.debian).join(' ');
  return `not found on PATH: ${names}. On Debian or Ubuntu: apt-get install ${packages}`;
}
