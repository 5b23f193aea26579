/** Configuration: read once, frozen, and able to tell where each value came from. */
export { deviceNumber } from './device.js';
export { loadConfig } from './load.js';
export { HASH_ALGORITHMS, HASH_REGIMES } from './schema.js';
export type { HashAlgorithm, HashRegime } from './schema.js';
export type {
  Config,
  ConfigRow,
  ConfigValues,
  Environment,
  LoadConfigOptions,
  SettingStatus,
  UnusedSetting,
} from './types.js';
