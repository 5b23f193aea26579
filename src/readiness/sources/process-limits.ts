/** Limits, capabilities and devices that this process, or the recorded one, has. */
import { type System, isAbsent, valueOf } from '../system.js';

/** Bit of CAP_IPC_LOCK in the kernel's capability.h. */
const CAP_IPC_LOCK = 14n;

export interface ProcessFacts {
  /** Soft limit of locked memory in bytes; Infinity: none; undefined: not told. */
  readonly memlock: number | undefined;
  readonly ipcLock: boolean | undefined;
  /** What says that this is a container; undefined: nothing does. */
  readonly container: string | undefined;
  /** Names in /dev and, with `infiniband/` before them, of /dev/infiniband; undefined where /dev can't be listed. */
  readonly devices: readonly string[] | undefined;
  /** Bytes of host memory that can be had without swapping; undefined: not told. */
  readonly memoryAvailable: number | undefined;
}

export async function readProcess(system: System): Promise<ProcessFacts> {
  const [limits, status, devices, infiniband, container, meminfo] = await Promise.all([
    system.readText('/proc/self/limits'),
    system.readText('/proc/self/status'),
    system.list('/dev'),
    system.list('/dev/infiniband'),
    containerSign(system),
    system.readText('/proc/meminfo'),
  ]);
  const capabilities = /^CapEff:\s*([\da-f]{1,16})\s*$/im.exec(valueOf(status) ?? '')?.[1];
  const available = /^MemAvailable:\s*(\d+) kB/m.exec(valueOf(meminfo) ?? '')?.[1];
  return {
    memlock: memlockLimit(valueOf(limits) ?? ''),
    ipcLock: capabilities === undefined ? undefined : ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n,
    container,
    devices: valueOf(devices)?.concat((valueOf(infiniband) ?? []).map((name) => `infiniband/${name}`)),
    memoryAvailable: available === undefined ? undefined : Number(available) * 1024,
  };
}

/** `Max locked memory         8388608              8388608              bytes` */
function memlockLimit(text: string): number | undefined {
  const soft = /^Max locked memory\s+(unlimited|\d+)\s/m.exec(text)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

async function containerSign(system: System): Promise<string | undefined> {
  for (const file of ['/.dockerenv', '/run/.containerenv']) {
    if (!isAbsent(await system.kind(file))) return file;
  }
  if (system.env['KUBERNETES_SERVICE_HOST']) return 'KUBERNETES_SERVICE_HOST';
  const cgroup = valueOf(await system.readText('/proc/1/cgroup')) ?? '';
  return /kubepods|docker|containerd|libpod/.test(cgroup) ? '/proc/1/cgroup' : undefined;
}
