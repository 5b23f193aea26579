/** `kv-offload bench compare`: what changed between two reports. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { JSON_HELP, JSON_OPTION } from '../options.js';
import { print, printJson, table } from '../output.js';

const AFTER_HELP = `
A change counts where every repeat of one report lies beyond every repeat of the other, and the medians differ by more
than 5%. "unclear": the medians do, and the repeats overlap; measure again, with more repeats, on a quiet machine.

JSON: {"conditions":[],"changes":[{"id","first","second","unit","ratio","verdict"}],"onlyFirst":[],"onlySecond":[]}`;

export function addBenchCompare(bench: CommandUnknownOpts): void {
  bench
    .command('compare')
    .description('say what changed between two reports beyond noise')
    .argument('<first>', 'report of bench --json; - is standard input')
    .argument('<second>', 'another')
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (first, second, { json }) => {
      const { readReport } = await import('../bench/read-report.js');
      const { compareReports } = await import('../bench/compare.js');
      const { spreadText } = await import('../bench/show.js');
      const compared = compareReports(await readReport(first), await readReport(second));
      if (json === true) {
        const changes = compared.changes.map(({ row, other, ratio, verdict }) => {
          return { id: row.id, first: row.median, second: other.median, unit: row.unit, ratio, verdict };
        });
        await printJson({ ...compared, changes });
        return;
      }
      const lines = compared.changes.map(({ row, other, ratio, verdict }) => {
        return [verdict, row.id, spreadText(row), spreadText(other), row.unit, ratio.toFixed(2)];
      });
      if (compared.conditions.length > 0) {
        await print(`Measured under other conditions:\n${compared.conditions.map((text) => `  ${text}\n`).join('')}\n`);
      }
      await print(table([['', 'what', 'first', 'second', '', 'ratio'], ...lines], [2, 3, 5]));
      for (const [name, ids] of [['first', compared.onlyFirst] as const, ['second', compared.onlySecond] as const]) {
        if (ids.length > 0) await print(`\nOnly in the ${name}:\n${ids.map((id) => `  ${id}\n`).join('')}`);
      }
    });
}
