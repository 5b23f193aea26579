/**
 * Chunk files as LMCache 0.4.3 to 0.5.6 writes them, spelled by hand: nothing of src/layout is used, so that both can't
 * be wrong in the same way.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What LMCache's header says. */
export interface LmcacheHeader {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly fmt: number;
  /** Further keys of `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** 4096 bytes: a length word and JSON as Python spells it, padded with spaces. */
export function lmcacheHeader({ dtype, shape, bytes, fmt, metadata }: LmcacheHeader): Buffer {
  const more = Object.entries(metadata ?? {}).map(
    ([key, value]) => `, ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  const json =
    `{"kvcache": {"dtype": "${dtype}", "shape": [${shape.join(', ')}], "data_offsets": [0, ${bytes}], "fmt": ${fmt}, ` +
    `"__metadata__": {"lmcache_version": "1"${more.join('')}}}}`;
  return rawHeader(json);
}

/** The same frame around any JSON. */
export function rawHeader(json: string): Buffer {
  const header = Buffer.alloc(4096, ' ');
  header.writeBigUInt64LE(4088n, 0);
  header.write(json, 8);
  return header;
}

/** Writes a data file; the sidecar, a file of its own as LMCache has it, where `sidecar` is given. */
export function writeLmcacheFile(path: string, header: Buffer, payload: Uint8Array, sidecar?: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.concat([header, payload]));
  if (sidecar) writeFileSync(`${path}.metadata`, sidecar);
}
