/** Processes of a measurement that are told what to do by messages, one task after the other. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { KVOffloadError } from '../../errors.js';

/** The argument by which a file knows that it is such a process: others import it for what both must know. */
const SERVE = 'serve-bench:';

/** A task by its name, with whatever belongs to it. */
type Named = { readonly task: string } & Readonly<Record<string, unknown>>;

interface Answer {
  readonly answer?: unknown;
  readonly error?: string;
}

/** Starts a file of this folder, such as `scale-child`. */
export function startChild(name: string): ChildProcess {
  const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return fork(file, [SERVE + name], { serialization: 'advanced' });
}

/** What a task is answered. @throws KVOffloadError `KVO_IO` with what the process says, or that it is gone */
export async function ask(child: ChildProcess, task: Named): Promise<unknown> {
  const ended = new AbortController();
  try {
    const answered = once(child, 'message', { signal: ended.signal }) as Promise<[Answer]>;
    const exited = once(child, 'exit', { signal: ended.signal }).then(() => {
      throw new KVOffloadError('KVO_IO', `a process of the measurement ended at ${task.task}`);
    });
    child.send(task);
    const [{ answer, error }] = await Promise.race([answered, exited]);
    if (error !== undefined) throw new KVOffloadError('KVO_IO', `a process of the measurement failed: ${error}`);
    return answer;
  } finally {
    ended.abort();
  }
}

/** Where this process was started for the file of that name: carries out tasks until one is `end`. */
export function serveAs(name: string, carryOut: (task: never) => Promise<unknown>): void {
  if (process.argv[2] !== SERVE + name || process.send === undefined) return;
  let last: Promise<unknown> = Promise.resolve();
  process.on('message', (task: Named) => {
    last = last
      .then(() => carryOut(task as never))
      .then(
        (answer) => process.send?.({ answer } satisfies Answer),
        (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
      )
      .then(() => {
        if (task.task === 'end') process.disconnect();
      });
  });
}
