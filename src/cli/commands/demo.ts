/** `kv-offload demo`: the story that examples/demo tells. */
import { existsSync } from 'node:fs';
import type { Command } from '@commander-js/extra-typings';
import { KVOffloadError } from '../../errors.js';
import { requireDirectory } from '../input.js';
import { interruptible } from '../interrupt.js';
import { JSON_HELP, JSON_OPTION } from '../options.js';

const DEMO = new URL('../../../examples/demo/main.mjs', import.meta.url);

const AFTER_HELP = `
A real model continues a story from KV that another process stored, and prompts of the size of real serving go through
the cache and back, every byte compared. Takes some 600 MiB for as long as it runs.

Example:
  $ kv-offload demo --path /mnt/weka`;

/** What examples/demo/main.mjs exports. */
interface Demo {
  readonly runDemo: (options: DemoOptions) => Promise<void>;
}

interface DemoOptions {
  readonly json: boolean;
  readonly dir?: string;
  readonly signal: AbortSignal;
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('store, find and retrieve KV between processes, and tell about it')
    .option('--path <dir>', "where its temporary directory is made (default: the system's place for such)")
    .option(JSON_OPTION, JSON_HELP)
    .addHelpText('after', AFTER_HELP)
    .action(async ({ path, json = false }) => {
      if (!existsSync(DEMO)) {
        throw new KVOffloadError(
          'KVO_UNSUPPORTED',
          'the demo is no part of the installed package; clone the repository and run: npm run demo',
        );
      }
      if (path !== undefined) await requireDirectory(path);
      const { runDemo } = (await import(DEMO.href)) as Demo;
      await interruptible((signal) => runDemo({ json, signal, ...(path !== undefined && { dir: path }) }));
    });
}
