/** Options that several commands share, and values of options. */
import type { Command } from '@commander-js/extra-typings';
import { DEVICE } from '../config/device.js';
import { KVOffloadError } from '../errors.js';

export const BASE = '--base <dir>';
export const BASE_HELP = 'cache directory, or several with commas between (default: weka_path of the settings)';
export const VERSION = '--lmcache-version <v>';
export const VERSION_HELP = 'the LMCache whose files are meant, such as 0.3.9 (default: kv_offload.lmcache_version)';
export const ROOT = '--root <dir>';
export const ROOT_HELP = 'a directory that stands for /, as "doctor --record" makes them (default: this machine)';
export const JSON_OPTION = '--json';
export const JSON_HELP = 'print JSON';

/** What names a prompt's chunks: options of `keys` and `lookup`. */
export function addPromptOptions(command: Command) {
  return command
    .requiredOption('--model <name>', 'model name as vLLM is given it')
    .option('--world-size <n>', 'tensor-parallel ranks; 1 for an MLA model', count('--world-size', 1), 1)
    .option('--worker-id <n>', 'this rank', count('--worker-id', 0), 0)
    .option('--dtype <name>', "dtype of the KV cache: torch's name, a key's or a header's", 'bfloat16')
    .option('--algorithm <name>', 'hash algorithm (default: pre_caching_hash_algorithm of the settings)')
    .option('--seed <s>', 'seed of the hashes (default: PYTHONHASHSEED)')
    .option('--python-version <v>', "the other side's Python, such as 3.11; for the algorithm builtin")
    .option(VERSION, VERSION_HELP)
    .option('--chunk-size <n>', 'tokens a chunk (default: chunk_size of the settings)')
    .option('--save-unfull-chunk', 'a tail shorter than a chunk is a chunk too (default: save_unfull_chunk)')
    .option('--no-save-unfull-chunk', 'it is none')
    .option('--tag <k=v>', 'tag of the keys, in order; may be repeated', collectTag)
    .option(BASE, BASE_HELP)
    .option('--fstype <type>', "the cache's filesystem type, which decides the files' suffix (default: looked up)")
    .option('--tokens <file>', 'tokens: a JSON array, or numbers; - is standard input (default: -)')
    .option(JSON_OPTION, JSON_HELP);
}

/** What {@link addPromptOptions} gives. */
export type PromptOptions = ReturnType<ReturnType<typeof addPromptOptions>['opts']>;

/** A parser of integers from `least` to `most`. */
export function count(option: string, least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^[0-9]+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const upTo = most === Number.MAX_SAFE_INTEGER ? 'up' : `to ${most}`;
    throw bad(`${option} is ${JSON.stringify(text)}; it is an integer from ${least} ${upTo}`);
  };
}

/** A parser of numbers from 0 to 1. */
export function fraction(option: string): (text: string) => number {
  return (text) => {
    const value = /^[0-9]*\.?[0-9]+$/.test(text) ? Number(text) : NaN;
    if (value >= 0 && value <= 1) return value;
    throw bad(`${option} is ${JSON.stringify(text)}; it is a number from 0 to 1, such as 0.9`);
  };
}

/** A parser of words of a list, with commas between. */
export function words<Word extends string>(option: string, known: readonly Word[]): (text: string) => Word[] {
  return (text) =>
    listOf(text).map((word) => {
      const found = known.find((one) => one === word);
      if (found !== undefined) return found;
      throw bad(`${option} is ${JSON.stringify(text)}; it is of ${known.join(', ')}, with commas between`);
    });
}

/** A parser of one word of a list. */
export function word<Word extends string>(option: string, known: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = known.find((one) => one === text);
    if (found !== undefined) return found;
    throw bad(`${option} is ${JSON.stringify(text)}; it is one of ${known.join(', ')}`);
  };
}

/** A parser of devices, as the setting `device` has them. */
export function device(text: string): string {
  if (DEVICE.test(text)) return text;
  throw bad(`--device is ${JSON.stringify(text)}; it is cpu, cuda, or cuda: and a number, such as cuda:1`);
}

/** A parser of integers from 1 to `most`, with commas between. */
export function counts(option: string, most: number): (text: string) => number[] {
  const parse = count(option, 1, most);
  return (text) => listOf(text).map(parse);
}

/** Words with commas between. */
export function listOf(text: string): string[] {
  return text.split(',').map((word) => word.trim());
}

/** Dimensions: `2,32,256,1024`, in brackets too. */
export function parseShape(text: string): number[] {
  const inner = /^\[(.*)\]$/.exec(text.trim())?.[1] ?? text;
  return inner.split(',').map((word) => {
    const dimension = /^[0-9]+$/.test(word.trim()) ? Number(word) : NaN;
    if (Number.isSafeInteger(dimension) && dimension > 0) return dimension;
    throw bad(
      `--shape is ${JSON.stringify(text)}; it is integers from 1 up with commas between, such as 2,32,256,1024`,
    );
  });
}

function collectTag(text: string, tags: (readonly [string, string])[] = []): (readonly [string, string])[] {
  const at = text.indexOf('=');
  if (at < 1) throw bad(`--tag is ${JSON.stringify(text)}; it is name=value`);
  const name = text.slice(0, at);
  if (tags.some(([other]) => other === name)) throw bad(`--tag ${name} is given twice`);
  return [...tags, [name, text.slice(at + 1)]];
}

function bad(what: string): KVOffloadError {
  return new KVOffloadError('KVO_ARGUMENT_INVALID', what);
}
