/** Tar archives (POSIX ustar), as small as a recorded tree needs them. */

/** A member of an archive. */
export type TarEntry =
  | { readonly path: string; readonly kind: 'directory' }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'file'; readonly content: Uint8Array };

const BLOCK = 512;
const TYPES = { file: '0', link: '2', directory: '5' } as const;
const MODES = { file: 0o644, link: 0o777, directory: 0o755 } as const;

/**
 * The archive's bytes. Owner and times are 0, so that the same entries give the same bytes.
 *
 * @param entries - paths relative; those that ustar has no room for (255 bytes, 100 in a link's target) are left out
 */
export function tarOf(entries: readonly TarEntry[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const header = headerOf(entry);
    if (header === undefined) continue;
    blocks.push(header);
    if (entry.kind !== 'file') continue;
    const padded = new Uint8Array(Math.ceil(entry.content.length / BLOCK) * BLOCK);
    padded.set(entry.content);
    blocks.push(padded);
  }
  return Buffer.concat([...blocks, new Uint8Array(2 * BLOCK)]);
}

function headerOf(entry: TarEntry): Uint8Array | undefined {
  const split = splitName(entry.kind === 'directory' ? `${entry.path}/` : entry.path);
  const target = entry.kind === 'link' ? entry.target : '';
  if (split === undefined || Buffer.byteLength(target) > 100) return undefined;
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
  header.write(split.name, 0);
  octal(MODES[entry.kind], 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.kind === 'file' ? entry.content.length : 0, 124, 12);
  octal(0, 136, 12);
  header.write(' '.repeat(8), 148);
  header.write(TYPES[entry.kind], 156);
  header.write(target, 157);
  header.write('ustar\u000000', 257);
  header.write(split.prefix, 345);
  // The sum is taken with its own field as blanks.
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return header;
}

/** A path of up to 100 bytes, or a prefix of up to 155 before a slash. */
function splitName(path: string): { readonly prefix: string; readonly name: string } | undefined {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path };
  for (let at = path.indexOf('/'); at > 0 && at < path.length - 1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { prefix, name };
  }
  return undefined;
}
