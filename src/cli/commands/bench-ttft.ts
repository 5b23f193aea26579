/** `kv-offload bench ttft`: from measured load times to the time to first token. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { JSON_HELP, JSON_OPTION, count, fraction } from '../options.js';
import { print, printJson, table } from '../output.js';

const AFTER_HELP = `
Adds up a lookup, the loading of the cached chunks and the prefill of the rest, each on its own; nothing overlaps. What
it rests on is printed with it, and it claims nothing beyond.

Example:
  $ kv-offload bench --path /mnt/weka --cold --json > a.json
  $ kv-offload bench ttft a.json --model llama-3.1-8b --prompt 32768 --hit 0.9 --prefill 8000`;

export function addBenchTtft(bench: CommandUnknownOpts): void {
  bench
    .command('ttft')
    .description('model the time to first token, with and without the cache, from a report')
    .argument('<report>', 'report of bench --json; - is standard input')
    .requiredOption('--prefill <tokens/s>', 'how fast prefill computes tokens', count('--prefill', 1))
    .option('--model <name>', 'llama-3.1-8b, llama-3.3-70b-fp8-tp4, deepseek-v3', 'llama-3.1-8b')
    .option('--prompt <tokens>', 'length of the prompt', count('--prompt', 1, 100_000_000), 32_768)
    .option('--hit <ratio>', 'part of the prompt that is cached, 0 to 1', fraction('--hit'), 0.9)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (file, { prefill, model, prompt, hit, json }) => {
      const { readReport } = await import('../bench/read-report.js');
      const { presetOf } = await import('../bench/presets.js');
      const { modelTtft } = await import('../bench/ttft.js');
      const { figure } = await import('../bench/show.js');
      const options = { preset: presetOf(model), promptTokens: prompt, hitRatio: hit, prefillRate: prefill };
      const ttft = modelTtft(await readReport(file), options);
      if (json === true) {
        await printJson(ttft);
        return;
      }
      const { lookup, load, prefill: computed, withCache, withoutCache } = ttft.milliseconds;
      await print(
        table(
          [
            ['', 'ms'],
            ['without the cache', figure(withoutCache)],
            ['with it', figure(withCache)],
            ['  lookup', figure(lookup)],
            [`  load of ${ttft.cachedTokens} tokens, ${figure(ttft.loadedBytes / 2 ** 30)} GiB`, figure(load)],
            [`  prefill of ${ttft.computedTokens} tokens`, figure(computed)],
          ],
          [1],
        ),
      );
      await print(
        `\n${ttft.speedup.toFixed(2)} times as fast. Loading pays up to a prefill of ${figure(ttft.breakEvenRate)} tokens/s.\n` +
          `\nThis assumes:\n${ttft.assumptions.map((text) => `- ${text}\n`).join('')}`,
      );
    });
}
