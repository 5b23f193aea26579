/** Cache directories as commands open them: those that only read make nothing and try nothing. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../config/index.js';
import { findMount, generationOf } from '../layout/index.js';
import type { Base } from '../store/bases.js';
import type { ChunkFiles } from '../store/chunk-files.js';
import { requireDirectory } from './input.js';

/**
 * Runs `use` over base directories that exist.
 *
 * @param paths - default: those of the configuration
 * @throws KVOffloadError `KVO_PATH_UNUSABLE` where one is missing or no directory, `KVO_PERMISSION`
 */
export async function withCache<T>(
  config: Config,
  use: (files: ChunkFiles) => Promise<T>,
  paths: readonly string[] = config.paths,
): Promise<T> {
  const bases = await Promise.all(paths.map((path) => existingBase(path, config)));
  const [{ Transfer }, { ChunkFiles }, { transferOptions }] = await Promise.all([
    import('../transfer.js'),
    import('../store/chunk-files.js'),
    import('../store/options.js'),
  ]);
  return closing(new ChunkFiles(new Transfer(transferOptions(config)), bases, 0, config), use);
}

/** Runs `use` over base directories to be written to, made where they are missing. */
export async function withWritableCache<T>(config: Config, use: (files: ChunkFiles) => Promise<T>): Promise<T> {
  const { ChunkFiles } = await import('../store/chunk-files.js');
  return closing(await ChunkFiles.open(config), use);
}

/**
 * A key as the configured LMCache writes it: readers take capitals and leading zeros too.
 *
 * @throws KVOffloadError `KVO_KEY_INVALID`
 */
export function canonicalKey(text: string, config: Config): string {
  const { parse, format } = generationOf(config.lmcacheVersion).key;
  return format(parse(text));
}

async function closing<T>(files: ChunkFiles, use: (files: ChunkFiles) => Promise<T>): Promise<T> {
  try {
    return await use(files);
  } finally {
    await files.close();
  }
}

async function existingBase(given: string, config: Config): Promise<Base> {
  const path = resolve(given);
  await requireDirectory(path);
  const { type } = findMount(await realpath(path));
  const unknown = { readOnly: undefined, directRefused: undefined, linksRefused: undefined };
  return { path, filesystem: type, suffix: generationOf(config.lmcacheVersion).suffix(type), ...unknown };
}
