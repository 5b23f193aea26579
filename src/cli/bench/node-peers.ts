/** Node's own file calls as peers: this file is also the process that makes them. */
import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveAs } from './child.js';
import { each, timed } from './timing.js';

/** `fs-promises`: what a user would write without this library. `file-handle`: into buffers that are used again. */
export type NodePeer = 'fs-promises' | 'file-handle';

/** What is moved. */
export interface PeerLoad {
  readonly directory: string;
  readonly files: number;
  readonly bytes: number;
  /** Files at a time. */
  readonly threads: number;
}

export type PeerTask =
  { readonly task: 'begin'; readonly by: NodePeer; readonly load: PeerLoad } | { readonly task: 'store' | 'retrieve' };

/** Bytes a system call, of everyone. */
export const BLOCK = 4 * 2 ** 20;

interface Peer {
  readonly store: (name: string, file: number) => Promise<unknown>;
  readonly retrieve: (name: string, file: number) => Promise<unknown>;
}

function wholeFiles(bytes: number): Peer {
  const source = Buffer.alloc(bytes, 7);
  return { store: (name) => writeFile(name, source), retrieve: (name) => readFile(name) };
}

function reusedBuffers(files: number, bytes: number): Peer {
  const buffers = Array.from({ length: files }, () => Buffer.alloc(bytes, 7));
  const move = async (name: string, flags: string, call: (file: FileHandle, at: number) => Promise<number>) => {
    const file = await open(name, flags);
    try {
      for (let at = 0; at < bytes;) {
        const moved = await call(file, at);
        if (moved === 0) throw new Error(`${name} ended at ${at} of ${bytes} bytes`);
        at += moved;
      }
    } finally {
      await file.close();
    }
  };
  const part = (at: number) => Math.min(BLOCK, bytes - at);
  const bufferOf = (i: number) => buffers[i] ?? Buffer.alloc(0);
  return {
    store: (name, i) =>
      move(name, 'w', async (file, at) => (await file.write(bufferOf(i), at, part(at), at)).bytesWritten),
    retrieve: (name, i) =>
      move(name, 'r', async (file, at) => (await file.read(bufferOf(i), at, part(at), at)).bytesRead),
  };
}

let peer: Peer | undefined;
let load: PeerLoad | undefined;

async function carryOut(task: PeerTask): Promise<unknown> {
  if (task.task === 'begin') {
    load = task.load;
    peer = task.by === 'fs-promises' ? wholeFiles(load.bytes) : reusedBuffers(load.files, load.bytes);
    return null;
  }
  if (peer === undefined || load === undefined) throw new Error('not begun');
  const { directory, files, threads } = load;
  const work = peer[task.task];
  return timed(() => each(files, threads, (i) => work(join(directory, String(i)), i)));
}

serveAs('node-peers', carryOut);
