/** From what the sources gave to one value a setting: precedence, two spellings, defaults. */
import { isDeepStrictEqual } from 'node:util';
import { KVOffloadError } from '../errors.js';
import { LEVELS, type Given } from './recognise.js';
import { show } from './show.js';
import { SETTINGS, type Setting, type ValueOf } from './schema.js';
import type { Environment } from './types.js';
import { validate } from './validate.js';

/** A setting's value; `given` where it is not the default. */
export interface Resolved {
  readonly setting: Setting;
  readonly value: unknown;
  readonly given?: Given;
}

/**
 * The value of every setting. All that was given is validated, also what another source overrides.
 *
 * @throws KVOffloadError KVO_CONFIG_INVALID_VALUE, and KVO_CONFIG_CONFLICT where one source gives two spellings of one
 *   setting with different values
 */
export function resolve(given: readonly Given[], env: Environment): Map<Setting, Resolved> {
  const winners = new Map<Setting, Resolved & { readonly given: Given }>();
  for (const level of LEVELS) {
    const here = new Map<Setting, Resolved & { readonly given: Given }>();
    for (const one of given) {
      if (one.level !== level) continue;
      const value = validate(one);
      if (value === undefined) continue;
      const other = here.get(one.setting);
      if (other === undefined) here.set(one.setting, { setting: one.setting, value, given: one });
      else if (!isDeepStrictEqual(other.value, value)) throw conflict(other.given, one);
    }
    for (const [setting, resolved] of here) winners.set(setting, resolved);
  }
  const resolved = (setting: Setting): Resolved =>
    winners.get(setting) ?? { setting, value: defaultOf(setting, env, valueOf) };
  const valueOf = ((property) => {
    const setting = SETTINGS.find((one) => one.property === property);
    return setting === undefined ? undefined : resolved(setting).value;
  }) as ValueOf;
  return new Map(SETTINGS.map((setting) => [setting, resolved(setting)]));
}

function defaultOf(setting: Setting, env: Environment, valueOf: ValueOf): unknown {
  const fallback = setting.default;
  return typeof fallback === 'function'
    ? (fallback as (env: Environment, valueOf: ValueOf) => unknown)(env, valueOf)
    : fallback;
}

function conflict(first: Given, second: Given): KVOffloadError {
  const one = `${first.source} (${show(first.name, first.value)})`;
  const other = `${second.source} (${show(second.name, second.value)})`;
  const what =
    first.name === second.name
      ? `both set ${first.name}`
      : `${first.name} and ${second.name} are two spellings of one setting`;
  return new KVOffloadError('KVO_CONFIG_CONFLICT', `${one} and ${other}: ${what}, with different values. Remove one.`);
}
