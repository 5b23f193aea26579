/** What every report says of itself, whatever was measured. */
import { describeFilesystem, describeMachine, describeVersions } from './machine.js';
import { REPORT_SCHEMA, REPORT_VERSION, type Report, type Row } from './schema.js';
import type { Needs } from './workspace.js';

export interface ReportParts {
  readonly command: readonly string[];
  readonly startedAt: Date;
  readonly parent: string;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  readonly needs: Needs;
  /** Seconds that were asked for. */
  readonly budget: number;
}

/** A report without a GPU, and without a word on transport and settings unless the caller adds it. */
export function reportOf({ command, startedAt, parent, rows, notes, needs, budget }: ReportParts): Report {
  return {
    schema: REPORT_SCHEMA,
    version: REPORT_VERSION,
    command: [...command],
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    complete: !notes.some((text) => text.includes('--seconds')),
    machine: describeMachine(),
    versions: describeVersions(),
    filesystem: describeFilesystem(parent),
    transport: { kind: 'host', reason: 'files ↔ host memory', io: 'buffered', ioReason: 'the default' },
    settings: {},
    asked: { ...needs, seconds: budget },
    device: null,
    rows: [...rows],
    notes: [...notes],
  };
}
