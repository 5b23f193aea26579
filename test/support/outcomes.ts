/** Results of calls, in short. */
import { expect } from 'vitest';
import { type ErrorCode, type RetrieveResult, type StoreResult, KVOffloadError } from '../../src/index.js';

/** `['hit', 'miss']` */
export function outcomesOf(result: StoreResult | RetrieveResult): string[] {
  return result.chunks.map((chunk) => chunk.outcome);
}

/** Codes of the chunks' errors, undefined where there is none. */
export function codesOf(result: StoreResult | RetrieveResult): (ErrorCode | undefined)[] {
  return result.chunks.map((chunk) => chunk.error?.code);
}

/** The error of this library's that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<KVOffloadError> {
  const error: unknown = await promise.then(
    () => expect.fail('nothing was thrown'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KVOffloadError);
  return error as KVOffloadError;
}

/** The error of this library's that a call throws at once, or that the promise it returns rejects with. */
export function thrown(call: () => unknown): Promise<KVOffloadError> {
  return rejection((async () => await call())());
}
