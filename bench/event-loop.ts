/** What moving bytes does to the event loop: its delay while bytes move, above that of the same timers without us. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KVCacheEngine, loadConfig } from 'kv-offload';
import { type Figure, excessFigure } from './pairs.js';

const MIB = 2 ** 20;
/** 32 MiB a chunk of 256 tokens. */
const MODEL = { modelName: 'bench', kvDtype: 'bfloat16', kvShape: [32, 2, 256, 8, 128] as const };

export async function benchEventLoop(directory: string, total: number): Promise<Figure[]> {
  const base = join(directory, 'loop');
  const chunkBytes = 32 * MIB;
  const slotsCount = 8;
  const overrides = { weka_path: base, cufile_buffer_size: 32 * slotsCount, extra_config: { disk_io_threads: 2 } };
  await using engine = await KVCacheEngine.open(await loadConfig({ env: {}, overrides }), MODEL);
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
  const name = `event-loop delay p99 while ${total / 2 ** 30} GiB move over 2 threads, above the same without us`;
  return [excessFigure(name, { ours: [busy], reference: [idle] }, 'the timer alone', 'ms', { most: 5 })];
}

async function delayWhile(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return histogram.percentile(99) / 1e6;
}
