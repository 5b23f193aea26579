/** `doctor --record`: a node as an archive, to be examined elsewhere. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Config, Environment } from '../config/index.js';
import { type DoctorOptions, type DoctorReport, examine } from './doctor.js';
import { configuredPaths, nodeConfig } from './node-config.js';
import { Recorder } from './recorder.js';
import type { System } from './system.js';
import { tarOf } from './tar.js';

/** The directory that the archive unpacks to. */
export const RECORDED = 'kv-offload-node';
const SETTINGS = 'etc/kv-offload-settings.json';
/** Variables that decide what is found. Settings are recorded as such, others not at all. */
const VARIABLES = ['CUFILE_ENV_PATH_JSON', 'NVIDIA_GDS', 'LD_LIBRARY_PATH', 'KUBERNETES_SERVICE_HOST'];

/** What `recordNode` makes. */
export interface RecordedNode {
  readonly report: DoctorReport;
  /** A gzipped tar archive of one directory, `kv-offload-node`. */
  readonly archive: Uint8Array;
}

/** Examines a system, and records what was read on the way. */
export async function record(system: System, options: DoctorOptions): Promise<RecordedNode> {
  const recorder = new Recorder(system);
  const report = await examine(recorder.system, options);
  const config = await nodeConfig(system, options.path).catch(() => undefined);
  const variables = recordedVariables(system.env);
  if (config !== undefined) {
    recorder.add(SETTINGS, `${JSON.stringify(settingsOf(config), undefined, 2)}\n`);
    variables.push(`LMCACHE_CONFIG_FILE=/${SETTINGS}`);
  }
  recorder.add('proc/self/environ', variables.map((line) => `${line}\0`).join(''));
  recorder.add('report.json', `${JSON.stringify(report, undefined, 2)}\n`);
  const entries = recorder.entries().map((entry) => ({ ...entry, path: `${RECORDED}/${entry.path}` }));
  const tar = tarOf([{ path: RECORDED, kind: 'directory' }, ...entries]);
  return { report, archive: await promisify(gzip)(tar) };
}

function recordedVariables(env: Environment): string[] {
  return VARIABLES.flatMap((name) => {
    const value = env[name];
    return value ? [`${name}=${name === 'KUBERNETES_SERVICE_HOST' ? 'recorded' : value}`] : [];
  });
}

/** The settings that have an effect, as a settings file; the hash seed is nobody's business. */
function settingsOf(config: Config): object {
  const settings: Record<string, unknown> = {};
  const configured = configuredPaths(config).length > 0;
  for (const { key, property, value, source } of config.explain()) {
    // The default path is another user's elsewhere; a path that is set brings a warning where no algorithm is.
    const given =
      source !== 'default' || property === 'paths' || (property === 'preCachingHashAlgorithm' && !configured);
    const wanted = property !== undefined && property !== 'hashSeed' && given;
    if (!wanted || value === null) continue;
    const path = key.split('.');
    const name = path.pop() ?? '';
    let map = settings;
    for (const part of path) map = (map[part] ??= {}) as Record<string, unknown>;
    map[name] = property === 'paths' ? config.paths.join(',') : value;
  }
  return settings;
}
