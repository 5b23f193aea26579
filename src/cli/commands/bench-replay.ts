/** `kv-offload bench replay`: conversations through the cache. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION, count } from '../options.js';
import { print } from '../output.js';
import { HTML_HELP, HTML_OPTION, announcing, giveReport } from './bench-output.js';

const AFTER_HELP = `
Conversations grow turn by turn; all share a system prompt, and several a document. Each request looks its prompt up,
retrieves what is cached and stores what is not, one request at a time. The same seed makes the same requests.

Example:
  $ kv-offload bench replay --path /mnt/weka --chunk llama-3.1-8b --users 8 --turns 6 --html replay.html`;

export function addBenchReplay(bench: CommandUnknownOpts): void {
  bench
    .command('replay')
    .description('replay conversations: hit rate, bytes saved, latency against time')
    .option('--path <dir>', "where its temporary directory is made (default: the system's place for such)")
    .option('--chunk <size>', 'a model or a size', '64KiB')
    .option('--users <n>', 'conversations', count('--users', 1, 10_000), 16)
    .option('--turns <n>', 'turns of each', count('--turns', 1, 1000), 8)
    .option('--system <tokens>', 'tokens that all begin with', count('--system', 0, 1_000_000), 1024)
    .option('--documents <n>', 'documents that they choose among', count('--documents', 0, 10_000), 4)
    .option('--document <tokens>', 'tokens of each', count('--document', 0, 1_000_000), 4096)
    .option('--turn <tokens>', 'tokens that a turn adds, on average', count('--turn', 1, 1_000_000), 512)
    .option('--seed <n>', 'of the requests', count('--seed', 0, 2 ** 32 - 1), 1)
    .option('--seconds <n>', 'no new request after so long', count('--seconds', 1, 86_400), 60)
    .option(HTML_OPTION, HTML_HELP)
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async (options) => {
      const { runReplay } = await import('../bench/replay.js');
      const { reportOf } = await import('../bench/report.js');
      const { presetOf } = await import('../bench/presets.js');
      const startedAt = new Date();
      const command = ['kv-offload', ...process.argv.slice(2)];
      const { users, turns, documents, seed, path, seconds } = options;
      const tokens = { systemTokens: options.system, documentTokens: options.document, turnTokens: options.turn };
      const workload = { seed, users, turns, documents, ...tokens };
      const preset = presetOf(options.chunk);
      const { replay, ...result } = await interruptible((signal) =>
        runReplay({ path, preset, workload, budget: seconds, signal, announce: announcing(options) }),
      );
      await giveReport({ ...reportOf({ command, startedAt, budget: seconds, ...result }), replay }, options);
      if (options.json === true) return;
      const { hitRate, bytesSaved, requests, verifiedChunks } = replay;
      await print(
        `${requests} requests: ${(hitRate * 100).toFixed(1)}% of prompt tokens were cached, ` +
          `${(bytesSaved / 2 ** 20).toFixed(0)} MiB of KV cache loaded and not computed, ${verifiedChunks} chunks verified by their sums\n`,
      );
    });
}
