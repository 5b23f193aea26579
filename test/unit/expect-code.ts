/** Assertions on this library's errors. */
import { expect } from 'vitest';

import { type ErrorCode, KVOffloadError } from '../../src/errors.js';

/** Runs `action`, which must throw an error with that code, and gives its message. */
export function messageOf(code: ErrorCode, action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(KVOffloadError);
    expect((error as KVOffloadError).code).toBe(code);
    return (error as KVOffloadError).message;
  }
  return expect.fail(`nothing was thrown; expected ${code}`);
}

/** Runs `action`, which may throw this library's errors only; undefined where it threw one. */
export function survive<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof KVOffloadError) return undefined;
    throw error;
  }
}
