/** What work costs beside time: processor, event loop, and by which path its bytes went. */
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { KVCacheEngine } from '../../store/engine.js';
import type { Row } from './schema.js';
import { median } from './statistics.js';

const GIB = 2 ** 30;
const NS_PER_US = 1000;
const NS_PER_MS = 1e6;

/** Runs between `begin` and `end` alone are counted: what others do in turn is not. */
export class Meters {
  readonly #engine: KVCacheEngine;
  readonly #p50: number[] = [];
  readonly #p99: number[] = [];
  readonly #idleP99: number;
  #cpuMicroseconds = 0;
  #bytes = 0;
  readonly #path = { directBytes: 0, bufferedBytes: 0, deviceBytes: 0 };
  /** With a GPU, the parts of `deviceBytes`, and the growth of cuFile's own counts. */
  readonly #device = { stagedBytes: 0, gdsBytes: 0 };
  #cufile: Record<string, number> | undefined;

  /** @param idleP99 - as {@link idleDelayP99} gives it */
  constructor(engine: KVCacheEngine, idleP99: number) {
    this.#engine = engine;
    this.#idleP99 = idleP99;
  }

  /** Runs work that moves so many bytes. */
  async around<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const { io: before, cufile: cufileBefore } = this.#engine.stats();
    const cpu = process.cpuUsage();
    // One a run: a monitor that goes on after a pause counts the pause.
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    try {
      return await work();
    } finally {
      delay.disable();
      this.#p50.push(delay.percentile(50) / NS_PER_MS);
      this.#p99.push(delay.percentile(99) / NS_PER_MS);
      const { user, system } = process.cpuUsage(cpu);
      this.#cpuMicroseconds += user + system;
      this.#bytes += bytes;
      const { io: after, cufile } = this.#engine.stats();
      const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
      this.#path.directBytes += grown('loadBytesDirect') + grown('storeBytesDirect');
      this.#path.bufferedBytes += grown('loadBytesBuffered') + grown('storeBytesBuffered');
      this.#device.stagedBytes += grown('loadBytesStaged') + grown('storeBytesStaged');
      this.#device.gdsBytes += grown('loadBytesGds') + grown('storeBytesGds');
      this.#path.deviceBytes = this.#device.stagedBytes + this.#device.gdsBytes;
      if (cufile !== undefined) this.#count(cufile, cufileBefore ?? {});
    }
  }

  read(): Pick<Row, 'cpuSecondsPerGiB' | 'eventLoopDelayMs' | 'path'> {
    return {
      cpuSecondsPerGiB: this.#cpuMicroseconds / 1e6 / (this.#bytes / GIB),
      eventLoopDelayMs: { p50: median(this.#p50), p99: Math.max(...this.#p99), idleP99: this.#idleP99 },
      path: {
        ...this.#path,
        ...(this.#engine.transport.kind !== 'host' && this.#device),
        ...(this.#cufile && { cufile: this.#cufile }),
      },
    };
  }

  #count(after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>): void {
    const counts = (this.#cufile ??= {});
    for (const [name, count] of Object.entries(after)) {
      counts[name] = (counts[name] ?? 0) + count - (before[name] ?? 0);
    }
  }
}

/** The event loop's delay with nothing to do, in milliseconds: the timer that measures it is part of it. */
export async function idleDelayP99(milliseconds: number): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  delay.disable();
  return delay.percentile(99) / NS_PER_MS;
}

/** Latencies of calls, one chunk each. */
export class Latencies {
  readonly #histogram = createHistogram({ figures: 3 });

  async time<T>(call: () => Promise<T>): Promise<T> {
    const began = process.hrtime.bigint();
    const answer = await call();
    this.#histogram.record(Math.max(1, Number(process.hrtime.bigint() - began)));
    return answer;
  }

  read(): NonNullable<Row['latency']> {
    const at = (percentile: number) => this.#histogram.percentile(percentile) / NS_PER_US;
    return {
      count: this.#histogram.count,
      p50: at(50),
      p99: at(99),
      p999: at(99.9),
      max: this.#histogram.max / NS_PER_US,
    };
  }
}
