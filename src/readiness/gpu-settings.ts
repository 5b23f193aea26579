/** Settings of the GPU transport, of which a configuration may know none yet. */
import type { Config } from '../config/index.js';

/** As the configuration has them; undefined where it doesn't. */
export interface GpuSettings {
  /** `cpu`, `cuda` or `cuda:N`. */
  readonly device: string;
  /** `auto`, `gds` or `staged`. */
  readonly transport: string;
  readonly libcufilePath: string | undefined;
  /** The file that the engine points cuFile at, before its driver opens. */
  readonly cufileConfig: string | undefined;
}

export function gpuSettings(config: Config | undefined): GpuSettings {
  const text = (name: string): string | undefined => {
    const value = (config as Readonly<Record<string, unknown>> | undefined)?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    device: text('device') ?? 'cpu',
    transport: text('transport') ?? 'auto',
    libcufilePath: text('libcufilePath'),
    cufileConfig: text('cufileConfig'),
  };
}
