/** Work that must clean up before the process ends: on Ctrl-C, when told to stop, and when nobody reads its output. */
import { setTimeout } from 'node:timers/promises';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What runs now; there is one command a process. */
let running: { readonly stop: AbortController; exit?: () => void } | undefined;

/**
 * Runs work that leaves something behind unless it is let finish.
 *
 * @param work - must settle soon after its signal fires, cleaned up. The process then ends by the very signal, so that
 *   a script's loop ends too. A second signal ends it at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const mine: NonNullable<typeof running> = (running = { stop: new AbortController() });
  const onSignal = (name: NodeJS.Signals) => {
    leave(() => process.kill(process.pid, name));
  };
  for (const name of SIGNALS) process.once(name, onSignal);
  try {
    return await work(mine.stop.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
    running = undefined;
    if (mine.exit !== undefined) {
      mine.exit();
      // The signal is on its way, and what comes next would complain of the work's end.
      await setTimeout(10_000);
    }
  }
}

/** Ends the process by `exit`: now, or when what is running has cleaned up. */
export function leave(exit: () => void): void {
  if (running === undefined) {
    exit();
    return;
  }
  running.exit ??= exit;
  running.stop.abort();
}
