/** `kv-offload config`: every setting, and where its value came from. */
import type { Command } from '@commander-js/extra-typings';
import type { ConfigRow } from '../../config/index.js';
import { JSON_HELP, JSON_OPTION } from '../options.js';
import { print, printJson, table } from '../output.js';
import { loadSettings } from '../settings.js';

const AFTER_HELP = `
Touches no cache.

JSON: {"settings":[{"key","property","value","source","status","doc"}],"unused":[{"key","value","source"}],"warnings":[…]}

Example:
  $ LMCACHE_CONFIG_FILE=lmcache.yaml kv-offload config`;

export function addConfig(program: Command): void {
  program
    .command('config')
    .description('show every setting with its source, what is unused, and warnings')
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ json = false }) => {
      const { explain, unused, warnings } = await loadSettings();
      if (json) {
        await printJson({ settings: explain(), unused, warnings });
        return;
      }
      const rows = explain();
      const active = rows.filter(({ status }) => status === 'active');
      const accepted = rows.filter(({ status }) => status === 'accepted');
      await print(table([['setting', 'value', 'source'], ...active.map(cells)]));
      await print(`\nWithout effect in this version:\n${table(accepted.map(cells))}`);
      if (unused.length > 0) await print(`\nUnused here:\n${table(unused.map(cells))}`);
      if (warnings.length > 0) await print(`\nWarnings:\n${warnings.map((text) => `${text}\n`).join('')}`);
    });
}

function cells({ key, value, source }: Pick<ConfigRow, 'key' | 'value' | 'source'>): string[] {
  return [key, valueText(value), source];
}

function valueText(value: unknown): string {
  if (value === null) return 'not set';
  if (Array.isArray(value)) return value.map(valueText).join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
