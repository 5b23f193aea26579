/**
 * One build of a clone at a time. The lock is a Linux abstract socket named after the clone, held by a live
 * process and gone with it however that ends, so a stale lock cannot exist.
 */
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { root } from './paths.mjs';

const ignoreError = () => {
  // A waiter that goes away, or a holder that does, is what the lock is made for.
};

/**
 * @param {string} name
 * @returns {Promise<import('node:net').Server | undefined>} undefined where another process listens there
 */
const tryListen = (name) =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server));
  });

/**
 * Resolves once whoever holds the name has let go, or was already gone.
 *
 * @param {string} name
 * @returns {Promise<void>}
 */
const untilFree = (name) =>
  new Promise((resolve) => {
    const socket = connect(name);
    socket.on('error', ignoreError);
    socket.on('close', () => resolve());
  });

/**
 * Runs `body` while no other process runs one for this clone.
 *
 * @template T
 * @param {string} what named in the line that a waiting process prints
 * @param {() => Promise<T>} body
 */
export async function withLock(what, body) {
  const name = `\0kv-offload-${createHash('sha256').update(root).digest('hex').slice(0, 32)}`;
  let server = await tryListen(name);
  if (server === undefined) console.log(`${what}: waiting for another process that builds in ${root}`);
  while (server === undefined) {
    await untilFree(name);
    server = await tryListen(name);
  }
  /** @type {Set<import('node:net').Socket>} */
  const waiting = new Set();
  server.on('connection', (socket) => {
    waiting.add(socket);
    socket.on('error', ignoreError);
  });
  try {
    return await body();
  } finally {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
}
