/** Settings of the GPU transport, with their defaults where no configuration could be read. */
import type { Config } from '../config/index.js';

export type GpuSettings = Pick<Config, 'device' | 'transport' | 'libcufilePath' | 'cufileConfig'>;

export function gpuSettings(config: Config | undefined): GpuSettings {
  return config ?? { device: 'cpu', transport: 'auto', libcufilePath: undefined, cufileConfig: undefined };
}
