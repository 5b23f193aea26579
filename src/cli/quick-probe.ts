/** `kv-offload probe` without the rest of the command line, whose loading takes longer than the probe. */
import { parseArgs } from 'node:util';
import { EXIT } from './exit-codes.js';

/** The options of `kv-offload probe`. */
export interface ProbeOptions {
  readonly path?: string | undefined;
  readonly requireGds?: boolean | undefined;
  readonly root?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Examines the node; gives the line to print, and the exit code. */
export async function probe({ path, requireGds = false, root, json = false }: ProbeOptions) {
  const { runDoctor } = await import('../readiness/index.js');
  const { ready, reason } = await runDoctor({
    ...(path !== undefined && { path }),
    ...(root !== undefined && { root }),
    requireGds,
    quick: true,
  });
  const line = json ? JSON.stringify({ ready, reason }) : `${ready ? 'ready' : 'not ready'}: ${reason}`;
  return { line, exitCode: ready ? EXIT.done : EXIT.failed };
}

/**
 * The whole command, for arguments that it understands.
 *
 * @param args - behind `probe`
 * @returns its exit code; undefined where the arguments, or what they name, are wrong: the full command line says how
 */
export async function quickProbe(args: readonly string[]): Promise<number | undefined> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        path: { type: 'string' },
        'require-gds': { type: 'boolean' },
        root: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    const { line, exitCode } = await probe({ ...values, requireGds: values['require-gds'] });
    process.stdout.write(`${line}\n`);
    return exitCode;
  } catch {
    return undefined;
  }
}
