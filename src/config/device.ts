/** The setting `device`: `cpu`, `cuda` or `cuda:N`, as torch writes it. */

/** What it may be. */
export const DEVICE = /^(cpu|cuda(:(0|[1-9]\d{0,2}))?)$/;

/** The GPU's number, as CUDA counts those that the process sees; undefined for `cpu`. */
export function deviceNumber(device: string): number | undefined {
  return device === 'cpu' ? undefined : Number(device.split(':')[1] ?? 0);
}
