/** A node as a recorded tree: exactly what the doctor read of it, without secrets. */
import { basename } from 'node:path/posix';
import { withoutSecrets } from './recorded-secrets.js';
import { resolveLinks } from './symlinks.js';
import { type Answer, type System, valueOf } from './system.js';
import type { TarEntry } from './tar.js';

/** What is recorded of a text; undefined: nothing. */
export type Redact = (path: string, text: string) => string | undefined;

/** A system that answers as another does, and remembers what it was asked. */
export class Recorder {
  readonly system: System;
  readonly #seen = new Map<string, TarEntry>();
  readonly #inner: System;
  readonly #redact: Redact;

  constructor(inner: System, redact: Redact = withoutSecrets) {
    this.#inner = inner;
    this.#redact = redact;
    const keep = <T>(path: string, answer: Promise<Answer<T>>, entry: (value: T) => Partial<Kept>) =>
      this.#keep(path, answer, entry);
    this.system = {
      ...inner,
      readText: (path) => keep(path, inner.readText(path), (text) => ({ text })),
      list: (path) => keep(path, inner.list(path), (names) => ({ names })),
      kind: (path) => keep(path, inner.kind(path), (kind) => (kind === 'directory' ? { names: [] } : { text: '' })),
      realpath: async (path) => {
        const answer = await inner.realpath(path);
        // That it exists is what a tree must tell later.
        if ('value' in answer) await this.system.kind(path);
        return answer;
      },
      space: (path) =>
        keep(path, inner.space(path), ({ total, available }) => {
          const blocks = (bytes: number) => Math.floor(bytes / 1024);
          const used = blocks(total) - blocks(available);
          this.#append('df', `recorded ${blocks(total)} ${used} ${blocks(available)} 0% ${path}\n`);
          return {};
        }),
      addresses: async () => {
        const answer = await inner.addresses();
        const line = ({ name, address }: { name: string; address: string }, i: number) =>
          `${i + 1}: ${name}    inet ${address}/32 scope global ${name}\n`;
        this.#file('cmd/ip.txt', (valueOf(answer) ?? []).map(line).join(''));
        return answer;
      },
      run: async (program, args, env) => {
        const answer = await inner.run(program, args, env);
        if ('value' in answer) this.#file(`cmd/${basename(program)}.txt`, answer.value);
        return answer;
      },
      cufileVersion: async (configured) => {
        // Found by files, which are recorded on the way, so that a tree tells the same.
        const { findCufile } = await import('./sources/cufile-library.js');
        await findCufile(this.system, configured);
        return inner.cufileVersion(configured);
      },
    };
  }

  /** Adds a file of our own, which holds nothing to be left out. */
  add(path: string, text: string): void {
    this.#set({ path, kind: 'file', content: Buffer.from(text) });
  }

  /** What was seen: directories before what is in them. */
  entries(): TarEntry[] {
    const all = new Map(this.#seen);
    for (const path of this.#seen.keys()) {
      for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
        const directory = path.slice(0, at);
        if (!all.has(directory)) all.set(directory, { path: directory, kind: 'directory' });
      }
    }
    return [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async #keep<T>(path: string, asked: Promise<Answer<T>>, entry: (value: T) => Partial<Kept>): Promise<Answer<T>> {
    const answer = await asked;
    if (!('value' in answer)) return answer;
    const { text, names } = entry(answer.value);
    const real = await resolveLinks(
      path,
      async (one) => valueOf(await this.#inner.readlink(one)),
      (link, target) => {
        if (link !== '/proc/self') this.#set({ path: link.slice(1), kind: 'link', target });
      },
    );
    // `/proc/self` is a symlink to a number; the tree has the process's files under the name that was asked for.
    const place = (valueOf(real) ?? path).replace(/^\/proc\/\d+\//, (own) =>
      path.startsWith(own) ? own : '/proc/self/',
    );
    if (text !== undefined) this.#file(place.slice(1), text);
    if (names !== undefined) this.#directory(place.slice(1), path, names);
    return answer;
  }

  #directory(place: string, path: string, names: readonly string[]): void {
    this.#set({ path: place, kind: 'directory' });
    // Of /dev only the names matter, and only some; of other directories those that are read later.
    if (!DEVICES.test(path)) return;
    for (const name of names) if (DEVICE.test(name)) this.#file(`${place}/${name}`, '');
  }

  #file(path: string, text: string): void {
    const kept = this.#redact(`/${path}`, text);
    if (kept !== undefined) this.#set({ path, kind: 'file', content: Buffer.from(kept) });
  }

  #append(program: string, line: string): void {
    const path = `cmd/${program}.txt`;
    const before = this.#seen.get(path);
    const text = before?.kind === 'file' ? Buffer.from(before.content).toString() : '';
    if (!text.includes(line)) this.#file(path, text + line);
  }

  /** A file's text is never lost to its later being looked at only. */
  #set(entry: TarEntry): void {
    const before = this.#seen.get(entry.path);
    if (before?.kind === 'file' && before.content.length > 0 && entry.kind === 'file' && entry.content.length === 0)
      return;
    if (before?.kind === 'link' || (before?.kind === 'file' && entry.kind === 'directory')) return;
    this.#seen.set(entry.path, entry);
  }
}

interface Kept {
  readonly text: string;
  readonly names: readonly string[];
}

const DEVICES = /^\/dev(\/infiniband)?$|^\/sys\/kernel\/mm\/memory_peers$/;
const DEVICE = /^(nvidia|uverbs\d|rdma_cm|nv_mem)/;
