/** Programs of the node, run with a deadline that holds even where they hang in the kernel. */
import { spawn } from 'node:child_process';
import type { Environment } from '../config/index.js';
import type { Answer } from './system.js';

const MOST_BYTES = 2 ** 20;

/**
 * Standard output of a program, up to 1 MiB. On timeout it is killed and no longer waited for: a process that hangs in
 * the kernel doesn't die of it.
 *
 * @returns `ENOENT` where there is no such program, `ETIMEDOUT`, or another reason why it can't be started
 */
export function runProgram(
  program: string,
  args: readonly string[],
  { env, timeoutMs }: { readonly env: Environment; readonly timeoutMs: number },
): Promise<Answer<string>> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      // cuFile's tools write cufile.log where they are started, unless told another place.
      env: { ...env, LC_ALL: 'C', CUFILE_LOGFILE_PATH: '/dev/null' },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pieces: Buffer[] = [];
    let bytes = 0;
    const end = (answer: Answer<string>) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.unref();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      end({ errno: 'ETIMEDOUT' });
    }, timeoutMs);
    child.stdout.on('data', (data: Buffer) => {
      if (bytes < MOST_BYTES) pieces.push(data);
      bytes += data.length;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      end({ errno: error.code ?? 'EIO' });
    });
    child.on('close', () => {
      end({ value: Buffer.concat(pieces).toString('utf8', 0, MOST_BYTES) });
    });
  });
}
