import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LMCACHE_OTHER_KEYS } from '../../src/config/lmcache-keys.js';
import { TABLE_HEAD, sectionOf, settingRows, tableCells } from './fixtures/config/settings-table.js';

const markdown = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');

describe('docs/configuration.md', () => {
  it.each(['top', 'extra', 'own', 'environment'] as const)('holds the table of settings as it is: %s', (place) => {
    const rows = settingRows(place);
    expect(rows.length).toBeGreaterThan(0);
    expect(tableCells(markdown, place)).toEqual([TABLE_HEAD, ...rows]);
  });

  it('names every LMCache setting without a meaning here', () => {
    const named = [...sectionOf(markdown, 'unused').matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(named).toEqual(Object.keys(LMCACHE_OTHER_KEYS));
  });
});
