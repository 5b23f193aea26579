/** Exit codes, and which error ends with which. */
import type { ErrorCode } from '../errors.js';

export const EXIT = { done: 0, failed: 1, badInput: 2, miss: 3 } as const;

/** Errors that another command line, or other settings, would mend. */
const BAD_INPUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'KVO_CONFIG_UNKNOWN_KEY',
  'KVO_CONFIG_INVALID_VALUE',
  'KVO_CONFIG_CONFLICT',
  'KVO_CONFIG_PARSE',
  'KVO_CONFIG_FILE',
  'KVO_ARGUMENT_INVALID',
  'KVO_TOKENS_INVALID',
  'KVO_MASK_INVALID',
  'KVO_MODEL_INVALID',
  'KVO_DTYPE_UNKNOWN',
  'KVO_SHAPE_MISMATCH',
  'KVO_KEY_INVALID',
  'KVO_KEY_TOO_LONG',
  'KVO_UNSUPPORTED',
  'KVO_PATH_UNUSABLE',
]);

/** The exit code of an error. */
export function exitCodeOf(code: ErrorCode): number {
  if (code === 'KVO_NOT_FOUND') return EXIT.miss;
  return BAD_INPUT.has(code) ? EXIT.badInput : EXIT.failed;
}
