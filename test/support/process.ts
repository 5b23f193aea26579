/** What this process holds, as the kernel counts it. */
import { readdirSync, readlinkSync } from 'node:fs';

/** Open descriptors of files below a directory. */
export function descriptorsBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(directory) ? [target] : [];
    } catch {
      return []; // closed meanwhile, as the one that lists is
    }
  });
}

/** How many threads it has. */
export function threadCount(): number {
  return readdirSync('/proc/self/task').length;
}

/** Waits until a condition holds; the test's own deadline ends it where it never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
