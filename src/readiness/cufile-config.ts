/** A cufile.json with the settings that WekaFS needs, made from the installed one. */
import { readFile } from 'node:fs/promises';
import { KVOffloadError } from '../errors.js';
import { type WekaSetting, WEKA_SETTINGS, compatSetting, rdmaSetting, settingOf } from './cufile-settings.js';
import { parseJsonc, plainJson } from './jsonc.js';
import { setJsonc } from './jsonc-edit.js';
import { lineDiff } from './line-diff.js';
import { readCufileJson } from './sources/cufile-json.js';
import { type NodeInterface, rdmaAddresses, readInterfaces } from './sources/interfaces.js';
import type { System } from './system.js';

/** One setting that differs from what WekaFS needs. */
export interface CufileChange {
  /** `fs.weka.rdma_write_support` */
  readonly setting: string;
  /** undefined: it was not there. */
  readonly before: unknown;
  readonly after: unknown;
  /** What happens without the change. */
  readonly why: string;
}

/** What {@link buildCufileConfig} makes. */
export interface CufileConfig {
  /** The file it was made from; undefined where there is none installed. */
  readonly from: string | undefined;
  /** That file's text. */
  readonly before: string;
  /** The new text: comments, order and all other settings as they were. */
  readonly text: string;
  /** None: the file is right as it is. */
  readonly changes: readonly CufileChange[];
  /** Unified diff; empty where nothing changes. */
  readonly diff: string;
  /** What it can't set right, such as RDMA addresses on a node that has none. */
  readonly warnings: readonly string[];
}

export interface CufileConfigOptions {
  /** A file of this machine to start from. Default: the one that cuFile would read on the node. */
  readonly from?: string;
  /** Turn compatibility mode off, so that reads fail rather than go through host memory. Default false. */
  readonly strict?: boolean;
}

/** As {@link buildCufileConfig}, of a node. @throws KVOffloadError `KVO_CONFIG_PARSE`, `KVO_ARGUMENT_INVALID` */
export async function cufileConfigOf(
  system: System,
  { from, strict = false }: CufileConfigOptions,
  configured: string | undefined,
): Promise<CufileConfig> {
  const source = from === undefined ? await installed(system, configured) : { path: from, text: await given(from) };
  const name = source.path ?? 'cufile.json';
  const warnings: string[] = [];
  if (source.path === undefined) {
    warnings.push('no cufile.json is installed: made from nothing, so that all else is cuFile’s default');
  }
  if (source.path !== undefined && source.text === '') warnings.push(`${source.path} is empty: made from nothing`);
  const interfaces = await readInterfaces(system);
  const settings = [...rdmaSettings(interfaces, warnings), compatSetting(strict), ...WEKA_SETTINGS];
  const changes: CufileChange[] = [];
  const plain = source.text === '' ? {} : plainJson(parseJsonc(source.text, name));
  let text = source.text === '' ? '{\n}\n' : source.text;
  for (const { path, wanted, why } of settings) {
    const before = settingOf(plain, path);
    const after = wanted(before);
    if (after === undefined) continue;
    text = setJsonc(text, path, after, name);
    changes.push({ setting: path.join('.'), before, after, why });
  }
  const diff = lineDiff(source.text, changes.length === 0 ? source.text : text, name, `${name} (for WekaFS)`);
  return { from: source.path, before: source.text, text, changes, diff, warnings };
}

async function installed(system: System, configured: string | undefined) {
  const { path, text, problem, absent } = await readCufileJson(system, configured);
  if (text !== undefined) return { path, text };
  if (absent) return { path: undefined, text: '' };
  throw new KVOffloadError('KVO_ARGUMENT_INVALID', `cannot read ${path}: ${problem ?? ''}; name another with --from`);
}

async function given(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'it does not exist' : code;
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `cannot read ${path}: ${why}`, cause);
  }
}

/** None where the node's addresses are not known: what is in the file then stays. */
function rdmaSettings(interfaces: readonly NodeInterface[] | undefined, warnings: string[]): WekaSetting[] {
  const addresses = rdmaAddresses(interfaces ?? []);
  if (addresses.length > 0) return [rdmaSetting(addresses)];
  const roce = (interfaces ?? []).filter(({ up, roce: does }) => up && does).map(({ name }) => name);
  const also = roce.length > 0 ? ` (${roce.join(', ')} can RDMA over Ethernet; NVIDIA names InfiniBand only)` : '';
  warnings.push(
    interfaces === undefined || interfaces.some(({ infiniband, up, addresses: own }) => infiniband && up && !own)
      ? 'this node’s addresses are not known: rdma_dev_addr_list stays as it is'
      : `no InfiniBand interface is up with an IPv4 address${also}: rdma_dev_addr_list stays as it is`,
  );
  return [];
}
