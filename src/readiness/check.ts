/** The words of a check. */
import type { NodeFacts } from './facts.js';

/** unknown: it can't be told, for want of rights, of a tool, or of a living node. */
export type CheckStatus = 'ok' | 'warn' | 'fail' | 'unknown';

/** Names of the checks; part of the API. */
export type CheckId =
  | 'config'
  | 'mount'
  | 'permissions'
  | 'space'
  | 'live'
  | 'driver'
  | 'nvidia_fs'
  | 'nvidia_peermem'
  | 'peer_memory'
  | 'cufile'
  | 'cufile_json'
  | 'rdma'
  | 'gdscheck'
  | 'devices'
  | 'memlock'
  | 'buffer';

/** One check of a report. */
export interface Check {
  readonly id: CheckId;
  readonly status: CheckStatus;
  /** What was found. */
  readonly seen: string;
  /** The file, program or setting it was found in. */
  readonly where: string;
  /** What depends on it. */
  readonly why: string;
  /** What to do, commands where there are any, one a line; null where there is nothing to do. */
  readonly fix: string | null;
  /** Whether the configured transport needs it: only such a check can make a node not ready. */
  readonly needed: boolean;
}

/** What a judge says; the rest of a {@link Check} is the same for every node. */
export interface Finding {
  readonly status: CheckStatus;
  readonly seen: string;
  readonly where: string;
  readonly fix?: string;
}

/**
 * The transport that a configuration asks for. host: files ↔ host memory. staged: files ↔ GPU memory through pinned host
 * memory. auto: GPUDirect Storage where it works, else staged. cufile: cuFile, in its compatibility mode where it must. gds:
 * GPUDirect Storage and nothing else.
 */
export type Goal = 'host' | 'staged' | 'auto' | 'cufile' | 'gds';

export type Judge = (facts: NodeFacts, goal: Goal) => Finding;

/** The worst of several findings; their texts together. */
export function worst(findings: readonly Finding[]): Finding {
  const order: readonly CheckStatus[] = ['ok', 'unknown', 'warn', 'fail'];
  const status = order[Math.max(0, ...findings.map((one) => order.indexOf(one.status)))] ?? 'unknown';
  const bad = status === 'ok' ? findings : findings.filter((one) => one.status !== 'ok');
  const together = (texts: readonly (string | undefined)[], by: string) =>
    [...new Set(texts.filter((text) => text !== undefined && text !== ''))].join(by);
  const fix = together(
    bad.map((one) => one.fix),
    '\n',
  );
  return {
    status,
    seen: together(
      bad.map(({ seen }) => seen),
      '; ',
    ),
    where: together(
      bad.map(({ where }) => where),
      ', ',
    ),
    ...(fix !== '' && { fix }),
  };
}

/**
 * `fail` for what GPUDirect Storage needs on WekaFS; `warn` where the cache lies on another filesystem, for which it
 * may not matter.
 */
export function onWeka(facts: NodeFacts): 'fail' | 'warn' {
  const types = facts.paths.map(({ mount }) => mount.type);
  return types.length === 0 || types.some((type) => type === 'wekafs' || type === 'unknown') ? 'fail' : 'warn';
}
