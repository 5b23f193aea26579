/** Settings from environment variables: LMCache's `LMCACHE_…`, ours `KV_OFFLOAD_…`, and Python's hash seed. */
import { EXTRA_CONFIG, NEAR_MISS, isOtherKey, suggestOwnVariable, suggestVariable, unknownKey } from './names.js';
import { extraMap, recogniseExtra, recogniseOne, type Findings, type Origin } from './recognise.js';
import { unquote } from './unquote.js';
import type { Environment } from './types.js';

const LMCACHE = 'LMCACHE_';
const OWN = 'KV_OFFLOAD_';
/** Names the configuration file. */
export const CONFIG_FILE = 'LMCACHE_CONFIG_FILE';
const HASH_SEED = 'PYTHONHASHSEED';

/** Variables under our prefix that are no settings: the addon's loader reads it. */
const OWN_ELSEWHERE: readonly string[] = ['KV_OFFLOAD_ADDON'];

/** The variables of this process, for those below that take them as an argument. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Takes every variable that is a setting, or looks like one. */
export function recogniseEnvironment(env: Environment, findings: Findings): void {
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined) continue;
    if (variable === HASH_SEED) recogniseSeed(text, findings);
    else if (variable.startsWith(LMCACHE)) recogniseLMCache(variable, unquote(text), findings);
    else if (variable.startsWith(OWN)) recogniseOwn(variable, unquote(text), findings);
  }
}

/** A variable is one value; paths inside it exist only for the JSON text of `extra_config`. */
function originOf(variable: string): Origin {
  const source = `environment ${variable}`;
  return {
    level: 'environment',
    source: (path) => (path[0] === EXTRA_CONFIG ? `${source} ${path.slice(1).join('.')}` : source),
    at: (path, part) => (part === 'key' && path[0] !== EXTRA_CONFIG ? 'environment' : source),
  };
}

function recogniseLMCache(variable: string, text: string, findings: Findings): void {
  if (variable === CONFIG_FILE) return;
  const origin = originOf(variable);
  const suffix = variable.slice(LMCACHE.length);
  const name = suffix.toLowerCase();
  // The environment is case-sensitive, and LMCache reads capitals only.
  const exact = suffix === suffix.toUpperCase();
  if (exact && name === EXTRA_CONFIG) {
    recogniseExtra(extraMap(text, origin.at([], 'value')), origin, [EXTRA_CONFIG], findings);
  } else if (exact && isOtherKey(name)) {
    findings.addUnused(name, text, origin.source([]));
  } else if (
    !(exact && recogniseOne('top', name, text, origin, findings)) &&
    !recogniseOne('environment', variable, text, origin, findings)
  ) {
    // LMCache reads some 20 variables that are no settings, so only a slip of the pen is an error.
    const suggestion = suggestVariable(suffix);
    if (suggestion.distance <= NEAR_MISS) throw unknownKey(origin.at([], 'key'), variable, text, suggestion);
    findings.addUnused(variable, text, origin.source([]));
  }
}

function recogniseOwn(variable: string, text: string, findings: Findings): void {
  if (OWN_ELSEWHERE.includes(variable)) return;
  const origin = originOf(variable);
  const suffix = variable.slice(OWN.length);
  if (suffix === suffix.toUpperCase() && recogniseOne('own', suffix.toLowerCase(), text, origin, findings)) return;
  throw unknownKey(origin.at([], 'key'), variable, text, suggestOwnVariable(suffix));
}

function recogniseSeed(text: string, findings: Findings): void {
  const origin = originOf(HASH_SEED);
  // CPython takes an empty variable for an unset one.
  if (text === 'random' || text === '') {
    findings.warnings.push(
      `${origin.source([])} is ${text === '' ? 'empty' : text}: Python then hashes differently in every process. ` +
        'Taken as not set; set it to the same number everywhere to share chunks.',
    );
    return;
  }
  // Not unquoted: the text itself is hashed, by Python and here.
  recogniseOne('environment', HASH_SEED, text, origin, findings);
}
