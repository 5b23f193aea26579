import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { KVOffloadError } from '../../src/errors.js';
import { extraMap, Findings, recogniseRoot } from '../../src/config/recognise.js';
import { resolve } from '../../src/config/resolve.js';
import { SETTINGS } from '../../src/config/schema.js';
import { parseYaml } from '../../src/config/yaml.js';
import { load, loadEnv } from './fixtures/config/load.js';

/** What a load may come to: a config, or an error of ours. Anything else is thrown on. */
async function settles(loading: Promise<unknown>): Promise<'config' | 'refused'> {
  try {
    await loading;
    return 'config';
  } catch (error) {
    if (error instanceof KVOffloadError) return 'refused';
    throw error;
  }
}

const name = fc.oneof(
  fc.constantFrom(
    ...SETTINGS.flatMap((setting) => setting.names),
    'extra_config',
    'kv_offload',
    '__proto__',
    'toString',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const scalar = fc.oneof(
  fc.constantFrom(
    'true',
    'false',
    '1',
    '0',
    '256',
    '-1',
    '1e400',
    'null',
    '~',
    '.inf',
    '0400',
    '/a,/b',
    '{}',
    '[]',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const json = fc.jsonValue({ maxDepth: 4 });
const map = fc.dictionary(name, fc.oneof(json, fc.dictionary(name, json, { maxKeys: 4 })), { maxKeys: 4 });

describe('whatever is given, the answer is a configuration or a KVOffloadError', () => {
  it('for YAML text', async () => {
    const yamlText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: fc.constantFrom(...Array.from(':-?!&*{}[],#|>%@"\'\n\t ax1')), maxLength: 60 }),
      fc
        .array(fc.tuple(name, scalar), { maxLength: 4 })
        .map((pairs) => pairs.map(([key, value]) => `${key}: ${value}`).join('\n')),
      map.map((value) => JSON.stringify(value)),
    );
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(yamlText, async (text) => {
        const loading = parseYaml(text, 'x.yaml').then(({ root, origin }) => {
          const findings = new Findings();
          recogniseRoot(root, origin, findings);
          resolve(findings.given, { HOME: '/h' });
          return JSON.stringify(findings.unused);
        });
        outcomes.add(await settles(loading));
      }),
      { numRuns: 2000 },
    );
    expect(outcomes).toEqual(new Set(['config', 'refused']));
  });

  it('for environment variables', async () => {
    const variable = fc.oneof(
      name.map((key) => `LMCACHE_${key.toUpperCase()}`),
      name.map((key) => `KV_OFFLOAD_${key.toUpperCase()}`),
      fc.constantFrom('PYTHONHASHSEED', 'LMCACHE_EXTRA_CONFIG', 'XDG_CACHE_HOME', 'HOME'),
    );
    const text = fc.oneof(
      scalar,
      map.map((value) => JSON.stringify(value)),
    );
    const environment = fc.dictionary(variable, text, { maxKeys: 3 }).map(({ LMCACHE_CONFIG_FILE: _, ...env }) => env);
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(environment, async (env) => {
        outcomes.add(await settles(loadEnv(env)));
      }),
      { numRuns: 2000 },
    );
    expect(outcomes).toEqual(new Set(['config', 'refused']));
  });

  it('for overrides of any values', async () => {
    const anything = fc.dictionary(
      name,
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
      { maxKeys: 3 },
    );
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.oneof(anything, map), async (overrides) => {
        outcomes.add(await settles(load({ overrides })));
      }),
      { numRuns: 2000 },
    );
    expect(outcomes).toEqual(new Set(['config', 'refused']));
  });

  it('for JSON text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.constant('['.repeat(50_000))), (text) => {
        try {
          expect(typeof extraMap(text, 'x')).toBe('object');
        } catch (error) {
          expect(error).toBeInstanceOf(KVOffloadError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
