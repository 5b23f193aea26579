/** `kv-offload bench schema`: what a report holds. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { print } from '../output.js';

export function addBenchSchema(bench: CommandUnknownOpts): void {
  bench
    .command('schema')
    .description('print the JSON Schema of reports')
    .action(async () => {
      const { reportJsonSchema } = await import('../bench/schema.js');
      await print(`${JSON.stringify(reportJsonSchema(), null, 2)}\n`);
    });
}
