/** `loadConfig`: the whole way from files and variables to one frozen object. */
import { KVOffloadError } from '../errors.js';
import { CONFIG_FILE, recogniseEnvironment } from './environment.js';
import { fullKey } from './names.js';
import { nearest } from './nearest.js';
import { isMap, plainCopy } from './plain.js';
import { Findings, recogniseRoot, type Origin } from './recognise.js';
import { resolve, type Resolved } from './resolve.js';
import { surprises } from './warnings.js';
import { recogniseFile } from './yaml.js';
import type { Config, ConfigRow, ConfigValues, LoadConfigOptions } from './types.js';

/**
 * Reads the configuration: defaults, then the YAML file, then the environment, then overrides; the later wins, setting
 * by setting. Never touches the cache's own directories.
 *
 * @param options - default: the file `LMCACHE_CONFIG_FILE` names, if any, and `process.env`
 * @returns one deeply frozen object
 * @throws KVOffloadError KVO_CONFIG_FILE, KVO_CONFIG_PARSE, KVO_CONFIG_UNKNOWN_KEY, KVO_CONFIG_INVALID_VALUE,
 *   KVO_CONFIG_CONFLICT, each naming the source, the key, the value and what to do; KVO_ARGUMENT_INVALID for the options
 *   themselves
 * @example
 * const config = await loadConfig({ overrides: { chunk_size: 256, gds_path: '/mnt/weka/cache' } });
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  checkOptions(options);
  const env = options.env ?? process.env;
  const findings = new Findings();
  const variable = env[CONFIG_FILE];
  if (options.file !== undefined) await recogniseFile(options.file, 'option file', findings);
  else if (variable) await recogniseFile(variable, `environment ${CONFIG_FILE}`, findings);
  recogniseEnvironment(env, findings);
  if (options.overrides !== undefined) recogniseOverrides(options.overrides, findings);
  const resolved = resolve(findings.given, env);
  findings.warnings.push(...surprises(resolved, findings.given));
  return assemble([...resolved.values()], findings);
}

function recogniseOverrides(overrides: object, findings: Findings): void {
  const origin: Origin = {
    level: 'override',
    source: (path) => `override ${path.join('.')}`,
    at: (path, part) => (part === 'key' ? 'overrides' : `override ${path.join('.')}`),
  };
  const root = plainCopy(overrides, 'overrides');
  if (isMap(root)) recogniseRoot(root, origin, findings);
}

function assemble(resolved: readonly Resolved[], findings: Findings): Config {
  const values: Record<string, unknown> = {};
  const rows: ConfigRow[] = [];
  for (const { setting, value, given } of resolved) {
    if (Array.isArray(value)) Object.freeze(value);
    if (setting.property !== undefined) values[setting.property] = value;
    rows.push(
      Object.freeze({
        key: fullKey(setting.place, setting.names[0]),
        ...(setting.property === undefined ? {} : { property: setting.property }),
        value: value ?? null,
        source: given?.source ?? 'default',
        status: setting.status,
        doc: setting.doc,
      }),
    );
  }
  Object.freeze(rows);
  return Object.freeze({
    // The schema's type holds every property of ConfigValues, and the validator gives each its type.
    ...(values as unknown as ConfigValues),
    unused: Object.freeze(findings.unused),
    warnings: Object.freeze(findings.warnings),
    explain: () => rows,
  });
}

const OPTIONS = ['env', 'file', 'overrides'] as const;

/** For callers without a type checker. */
function checkOptions(options: unknown): void {
  const refuse = (problem: string): KVOffloadError =>
    new KVOffloadError('KVO_ARGUMENT_INVALID', `loadConfig: ${problem}`);
  if (!isMap(options)) throw refuse('expected an object of options: env, file, overrides.');
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name)) {
      throw refuse(`unknown option ${name}; the nearest known one is ${nearest(name, OPTIONS)?.name ?? ''}.`);
    }
  }
  const { env, file, overrides } = options;
  if (env !== undefined && !isMap(env)) throw refuse('env is not a map of environment variables.');
  if (file !== undefined && typeof file !== 'string')
    throw refuse('file is not text; expected the path of a YAML file.');
  if (overrides !== undefined && !isMap(overrides)) {
    throw refuse('overrides is not a map; expected settings as in the YAML file, such as { chunk_size: 256 }.');
  }
}
