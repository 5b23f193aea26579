/** Running work, and the seconds that it takes. */

export async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Runs `work` for 0 to count - 1, so many at a time. */
export async function each(count: number, atATime: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const runner = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atATime, count) }, runner));
}
