/** NVIDIA's modules in the kernel. */
import { type Answer, type System, valueOf } from '../system.js';

export const MODULES = '/proc/modules';
export const DRIVER = '/proc/driver/nvidia/version';
export const NVIDIA_FS = '/proc/driver/nvidia-fs/version';
export const PEERS = '/sys/kernel/mm/memory_peers';

export interface KernelFacts {
  /** Names of the loaded modules; undefined where the list can't be read. */
  readonly modules: ReadonlySet<string> | undefined;
  /** First line of the driver's version file. */
  readonly driverLine: Answer<string>;
  /** `580.95.05`; undefined where there is no driver, or its line is another than known. */
  readonly driver: string | undefined;
  /** The open kernel modules. */
  readonly open: boolean;
  /** `2.28` or `2.28.4`; undefined where it isn't told. */
  readonly nvidiaFs: string | undefined;
  readonly peers: Answer<readonly string[]>;
}

export async function readKernel(system: System): Promise<KernelFacts> {
  const [modules, driver, fs, fsModule, peers] = await Promise.all([
    system.readText(MODULES),
    system.readText(DRIVER),
    system.readText(NVIDIA_FS),
    system.readText('/sys/module/nvidia_fs/version'),
    system.list(PEERS),
  ]);
  const driverLine: Answer<string> = 'value' in driver ? { value: driver.value.split('\n', 1)[0] ?? '' } : driver;
  return {
    modules: 'value' in modules ? moduleNames(modules.value) : undefined,
    driverLine,
    ...driverVersion(valueOf(driverLine) ?? ''),
    nvidiaFs: longest(/^version:\s*(\d+\.\d+(?:\.\d+)?)/m.exec(valueOf(fs) ?? '')?.[1], valueOf(fsModule)?.trim()),
    peers,
  };
}

function moduleNames(text: string): Set<string> {
  return new Set(text.split('\n').flatMap((line) => /^(\w+) \d/.exec(line)?.[1] ?? []));
}

/** `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build …` */
function driverVersion(line: string): { driver: string | undefined; open: boolean } {
  const version = /NVIDIA UNIX .*Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)(?:\s|$)/.exec(line)?.[1];
  return { driver: version, open: line.includes('Open Kernel Module') };
}

/** The kernel's file may leave out the third part, which the module's tells. */
function longest(file: string | undefined, module: string | undefined): string | undefined {
  const known = module !== undefined && /^\d+\.\d+(\.\d+)?$/.test(module) ? module : undefined;
  if (file === undefined) return known;
  return known?.startsWith(`${file}.`) === true ? known : file;
}
