/** A file that the user asked for. */
import { writeFile } from 'node:fs/promises';
import { outputError } from '../system-errors.js';

/** @throws KVOffloadError as {@link outputError} */
export async function writeText(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw outputError(file, error);
  });
}
