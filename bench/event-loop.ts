/** What moving bytes does to the event loop: its delay while bytes move, above that of the same timers without us. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KVCacheEngine, loadConfig } from 'kv-offload';
import { modelOf } from './io.js';
import type { Row } from './pairs.js';

const MIB = 2 ** 20;

export async function benchEventLoop(directory: string, total: number): Promise<Row[]> {
  const base = join(directory, 'loop');
  const chunkBytes = 32 * MIB;
  const slotsCount = 8;
  const overrides = { weka_path: base, cufile_buffer_size: 32 * slotsCount, extra_config: { disk_io_threads: 2 } };
  await using engine = await KVCacheEngine.open(await loadConfig({ env: {}, overrides }), modelOf(chunkBytes));
  const slots = await engine.lease(slotsCount);
  const prompt = engine.prepare(Uint32Array.from({ length: slotsCount * 256 }, (_, i) => i));
  await engine.store(prompt, slots);
  let elapsed = 0;
  const busy = await delayWhile(async () => {
    const start = performance.now();
    for (let moved = 0; moved < total; moved += slotsCount * chunkBytes) await engine.retrieve(prompt, slots);
    elapsed = performance.now() - start;
  });
  const idle = await delayWhile(() => new Promise((resolve) => setTimeout(resolve, elapsed)));
  rmSync(base, { recursive: true });
  const excess = Math.max(busy - idle, 0);
  return [
    {
      name: `event-loop delay p99 while ${total / 2 ** 30} GiB move over 2 threads`,
      against: 'the same without us',
      unit: 'ms',
      ours: busy,
      reference: idle,
      ratio: busy / idle,
      spread: [excess, excess],
      target: 'excess under 5 ms',
    },
  ];
}

async function delayWhile(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return histogram.percentile(99) / 1e6;
}
