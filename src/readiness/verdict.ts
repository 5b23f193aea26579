/** From checks to one answer. */
import type { Check, CheckId } from './check.js';

/** Without these known there is no saying that GPUDirect Storage will be used. */
const ESSENTIAL: ReadonlySet<CheckId> = new Set(['config', 'mount', 'driver', 'nvidia_fs', 'cufile', 'cufile_json']);

/** Whether GPUDirect Storage would move the cache's bytes on this node. */
export interface GdsVerdict {
  /** unknown: nothing fails, but not all can be told, or the cache is not on WekaFS. */
  readonly usable: 'yes' | 'no' | 'unknown';
  /** One line. */
  readonly reason: string;
}

/** @param checks - judged for GPUDirect Storage */
export function gdsVerdict(checks: readonly Check[], onWeka: boolean): GdsVerdict {
  const failing = checks.filter(({ status }) => status === 'fail');
  if (failing.length > 0) return { usable: 'no', reason: oneLine(failing) };
  const untold = unknownEssentials(checks);
  if (untold.length > 0) return { usable: 'unknown', reason: oneLine(untold) };
  if (!onWeka) return { usable: 'unknown', reason: 'the cache is not on WekaFS' };
  return { usable: 'yes', reason: 'every check for GPUDirect Storage passes' };
}

/**
 * What keeps a node from being ready: needed checks that fail, and where GPUDirect Storage is needed, essential ones that
 * can't be told.
 */
export function obstacles(checks: readonly Check[], gds: boolean): Check[] {
  const failing = checks.filter(({ status, needed }) => needed && status === 'fail');
  return gds ? [...failing, ...unknownEssentials(checks)] : failing;
}

/** `nvidia_fs: the module nvidia_fs is not loaded (and 2 more)` */
export function oneLine(checks: readonly Check[]): string {
  const [first, ...others] = checks;
  if (first === undefined) return '';
  const more = others.length > 0 ? ` (and ${others.length} more: ${others.map(({ id }) => id).join(', ')})` : '';
  return `${first.id}: ${first.seen.replaceAll('\n', ' ')}${more}`;
}

function unknownEssentials(checks: readonly Check[]): Check[] {
  return checks.filter(({ id, status }) => ESSENTIAL.has(id) && status === 'unknown');
}
