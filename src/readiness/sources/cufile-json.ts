/** Which cufile.json cuFile reads on a node, and what is in it. */
import { KVOffloadError } from '../../errors.js';
import { parseJsonc, plainJson } from '../jsonc.js';
import { type System, isAbsent, reasonOf } from '../system.js';

export const CUFILE_VARIABLE = 'CUFILE_ENV_PATH_JSON';
export const INSTALLED = '/etc/cufile.json';

/** A cufile.json. */
export interface CufileJson {
  readonly path: string;
  /** What names it: the setting, the variable, or the default. */
  readonly namedBy: string;
  /** Undefined where it can't be read. */
  readonly text: string | undefined;
  /** Why it can't be read or parsed. */
  readonly problem: string | undefined;
  /** It is not there, as opposed to: can't be read. */
  readonly absent: boolean;
  /** Its value, where it parses. */
  readonly json: unknown;
}

/** @param configured - `kv_offload.cufile_config`, which the engine puts into the variable */
export async function readCufileJson(system: System, configured: string | undefined): Promise<CufileJson> {
  const { path, namedBy } = whichFile(system, configured);
  const answer = await system.readText(path);
  if ('errno' in answer) {
    return { path, namedBy, text: undefined, problem: reasonOf(answer), absent: isAbsent(answer), json: undefined };
  }
  const text = answer.value;
  try {
    const json = plainJson(parseJsonc(text, path));
    return { path, namedBy, text, problem: undefined, absent: false, json };
  } catch (error) {
    if (!(error instanceof KVOffloadError)) throw error;
    return { path, namedBy, text, problem: error.message, absent: false, json: undefined };
  }
}

function whichFile(system: System, configured: string | undefined) {
  if (configured !== undefined) return { path: configured, namedBy: 'kv_offload.cufile_config' };
  const variable = system.env[CUFILE_VARIABLE];
  if (variable) return { path: variable, namedBy: CUFILE_VARIABLE };
  return { path: INSTALLED, namedBy: 'cuFile’s default' };
}
