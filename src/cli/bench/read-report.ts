/** Reports that were written before. */
import { KVOffloadError } from '../../errors.js';
import { inputName, readText } from '../input.js';
import { REPORT_SCHEMA, type Report, reportSchema } from './schema.js';

/** @throws KVOffloadError `KVO_ARGUMENT_INVALID` for a file that is no report of a version that is known here */
export async function readReport(file: string): Promise<Report> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KVOffloadError(
      'KVO_ARGUMENT_INVALID',
      `${inputName(file)} is no JSON; give a report of bench --json`,
      cause,
    );
  }
  const parsed = reportSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    `${inputName(file)} is no ${REPORT_SCHEMA} report of version 1: ${where === '' ? '' : `${where}: `}${issue?.message ?? ''}`,
  );
}
