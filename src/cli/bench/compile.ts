/** C++ programs that ours is held against: in a clone with a compiler alone, compiled when their sources change. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inPackage } from './package-root.js';

/** A program's path, or why there is none. */
export type Program = { readonly program: string } | { readonly missing: string };

/**
 * The program's path, compiled if need be.
 *
 * @param sources - paths in the package: those that are compiled first, then the headers
 */
export async function findProgram(
  name: string,
  sources: readonly string[],
  flags: readonly string[] = [],
): Promise<Program> {
  const files = sources.map(inPackage);
  const absent = sources.find((_, i) => !existsSync(files[i] ?? ''));
  if (absent !== undefined) return { missing: `${absent} comes with a clone, not with the package` };
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  const program = inPackage(`.cache/${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return { program };
  try {
    await mkdir(inPackage('.cache'), { recursive: true });
    const making = `${program}.${process.pid}`;
    const compiled = files.filter((file) => file.endsWith('.cc'));
    const words = ['-O2', '-std=c++20', '-pthread', ...compiled, '-o', making, ...flags];
    await promisify(execFile)(process.env['CXX'] ?? 'g++', words);
    await rename(making, program);
    return { program };
  } catch (error) {
    const [line = ''] = error instanceof Error ? error.message.split('\n') : [];
    return { missing: `it does not compile here (${line}); install g++` };
  }
}
