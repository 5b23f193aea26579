/** A tree recorded of a node as a {@link System}: proc/, sys/, etc/ and so on as found, output of programs in cmd/. */
import { open, readdir, readlink, stat } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';
import type { Environment } from '../config/index.js';
import { findCufile } from './sources/cufile-library.js';
import { resolveLinks } from './symlinks.js';
import { type Answer, type InterfaceAddress, type Space, type System, valueOf } from './system.js';

const MOST_TEXT_BYTES = 4 * 2 ** 20;
const NOT_TOLD = { errno: 'UNKNOWN' } as const;

/**
 * Every path is resolved inside the directory, absolute symlinks and `..` too. What needs the living node answers
 * `UNKNOWN`. Environment variables come from `proc/self/environ`, addresses from `cmd/ip.txt` (`ip -o -4 addr`), room
 * from `cmd/df.txt` (`df -P -k`).
 *
 * @param directory - the tree; it exists
 */
export async function recordedTree(directory: string): Promise<System> {
  const root = resolve(directory);
  const outside = (path: string) => join(root, path);
  // A tree lies still, and each path passes the same directories.
  const links = new Map<string, Promise<string | undefined>>();
  const linkText = (path: string) => {
    let text = links.get(path);
    if (text === undefined) links.set(path, (text = readlink(outside(path)).catch(() => undefined)));
    return text;
  };
  /** Runs `action` on the place of a path on this machine, which no symlink of the tree leads out of. */
  const inside = async <T>(path: string, action: (place: string) => Promise<T>): Promise<Answer<T>> => {
    const real = await resolveLinks(path, linkText);
    if ('errno' in real) return real;
    try {
      return { value: await action(outside(real.value)) };
    } catch (error) {
      return { errno: (error as NodeJS.ErrnoException).code ?? 'EIO' };
    }
  };
  const readText = (path: string) => inside(path, readStart);
  const output = (program: string) => readText(`/cmd/${posix.basename(program)}.txt`);
  const tree: System = {
    root,
    env: environment(valueOf(await readText('/proc/self/environ')) ?? ''),
    readText,
    list: (path) => inside(path, async (place) => (await readdir(place)).sort()),
    kind: (path) =>
      inside(path, async (place) => {
        const found = await stat(place);
        if (found.isDirectory()) return 'directory';
        return found.isFile() ? 'file' : 'other';
      }),
    readlink: async (path) => {
      const parent = await resolveLinks(posix.dirname(path), linkText);
      if ('errno' in parent) return parent;
      const text = await linkText(posix.join(parent.value, posix.basename(path)));
      return text === undefined ? { errno: 'EINVAL' } : { value: text };
    },
    realpath: async (path) => {
      const real = await resolveLinks(path, linkText);
      if ('errno' in real) return real;
      return inside(real.value, async (place) => {
        await stat(place);
        return real.value;
      });
    },
    writable: () => Promise.resolve(NOT_TOLD),
    space: async (path) => spaceOf(valueOf(await output('df')) ?? '', path),
    addresses: async () => {
      const text = await output('ip');
      return 'value' in text ? { value: addressesOf(text.value) } : NOT_TOLD;
    },
    run: (program) => output(program),
    answers: () => Promise.resolve({ value: true }),
    cufileVersion: (configured) => findCufile(tree, configured),
  };
  return tree;
}

/** A device node or pipe that someone put into a tree must not be waited for. */
async function readStart(place: string): Promise<string> {
  const found = await stat(place);
  if (!found.isFile()) throw Object.assign(new Error('no file'), { code: found.isDirectory() ? 'EISDIR' : 'EINVAL' });
  const handle = await open(place);
  try {
    const length = Math.min(found.size, MOST_TEXT_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function environment(text: string): Environment {
  const pairs = text.split(/[\0\n]/).flatMap((line) => {
    const at = line.indexOf('=');
    return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** Lines of `ip -o -4 addr`: `3: ib0    inet 10.0.0.7/16 brd …`. */
function addressesOf(text: string): InterfaceAddress[] {
  return [...text.matchAll(/^\d+:\s+(\S+?)(?:@\S+)?\s+inet\s+(\d+(?:\.\d+){3})/gm)].map(
    ([, name = '', address = '']) => ({
      name,
      address,
    }),
  );
}

/** Of the lines of `df -P -k`, the one whose mount point is the longest prefix of the path. */
function spaceOf(text: string, path: string): Answer<Space> {
  let best: (Space & { readonly point: string }) | undefined;
  for (const line of text.split('\n')) {
    const [, blocks, available, point] = /^.*?\s+(\d+)\s+\d+\s+(\d+)\s+\S+%\s+(\/.*)$/.exec(line) ?? [];
    if (point === undefined || !(point === '/' || `${path}/`.startsWith(`${point}/`))) continue;
    if (point.length >= (best?.point.length ?? 0)) {
      best = { point, total: Number(blocks) * 1024, available: Number(available) * 1024 };
    }
  }
  return best === undefined ? NOT_TOLD : { value: { total: best.total, available: best.available } };
}
