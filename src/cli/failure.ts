/** Errors → one line, or one JSON object, on stderr, and an exit code. */
import { CommanderError } from 'commander';
import { KVOffloadError } from '../errors.js';
import { EXIT, exitCodeOf } from './exit-codes.js';

/** An error as JSON shows it. */
export interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly retriable: boolean;
}

/** Of what is no error of the library's: a failed demo, or a bug. */
const UNEXPECTED = 'UNEXPECTED';

/** Tells the user, and returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) {
    // Help or the version, which commander printed; without a command it is what the user should have read.
    return error.exitCode === 0 ? EXIT.done : EXIT.badInput;
  }
  const known = typed(error);
  if (known !== undefined) {
    complain(errorJson(known), json);
    return exitCodeOf(known.code);
  }
  complain({ code: UNEXPECTED, message: chain(error), retriable: false }, json);
  return EXIT.failed;
}

/** An error's part of JSON output. */
export function errorJson({ code, message, retriable }: KVOffloadError): ErrorJson {
  return { code, message, retriable };
}

/** A remark on stderr, which changes nothing. */
export function remark(text: string): void {
  process.stderr.write(`kv-offload: ${text}\n`);
}

function complain(error: ErrorJson, json: boolean): void {
  if (json) process.stderr.write(`${JSON.stringify({ error })}\n`);
  else remark(`${error.message} [${error.code}]`);
}

function typed(error: unknown): KVOffloadError | undefined {
  if (error instanceof KVOffloadError) return error;
  if (!(error instanceof CommanderError)) return undefined;
  const what = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return new KVOffloadError('KVO_ARGUMENT_INVALID', `${what}; see kv-offload --help`, error);
}

/** The message with those of its causes. */
function chain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${chain(error.cause)}`;
}
