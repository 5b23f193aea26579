import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import type { ErrorCode } from '../../src/errors.js';
import { native } from '../../src/native.js';
import { Outcomes, errnoName } from '../../src/outcomes.js';
import { planExists } from '../../src/plan.js';

const STEPS = native().stepNames;
const FAILED = 3n;
const ABORTED = 4n;
const STUCK = 5n;

/** An answer for the operations /c/0, /c/1, … */
function answer(operations: readonly (readonly bigint[])[], closed = false, signal?: AbortSignal): Outcomes {
  const plan = planExists(operations.map((_, i) => `/c/${i}`));
  const words = BigInt64Array.from(operations.flat());
  return new Outcomes({ words, stuck: false, sums: new BigUint64Array() }, plan, STEPS, closed, signal);
}

const step = (name: string) => BigInt(STEPS.indexOf(name)) << 8n;

describe('a failed system call', () => {
  it.each<[string, ErrorCode]>([
    ['ENOSPC', 'KVO_NO_SPACE'],
    ['EDQUOT', 'KVO_NO_SPACE'],
    ['EROFS', 'KVO_READ_ONLY'],
    ['EACCES', 'KVO_PERMISSION'],
    ['EPERM', 'KVO_PERMISSION'],
    ['EMFILE', 'KVO_TOO_MANY_FILES'],
    ['ENFILE', 'KVO_TOO_MANY_FILES'],
    ['ENOENT', 'KVO_PATH_UNUSABLE'],
    ['ENOTDIR', 'KVO_PATH_UNUSABLE'],
    ['EISDIR', 'KVO_PATH_UNUSABLE'],
    ['EIO', 'KVO_IO'],
    ['ESTALE', 'KVO_IO'],
    ['ENOMEM', 'KVO_IO'],
    // The filesystem's own time-out: the call came back, so its memory is free again.
    ['ETIMEDOUT', 'KVO_IO'],
  ])('of %s is %s, and tells path, step and errno', (name, code) => {
    const errno = constants.errno[name as keyof typeof constants.errno];
    const error = answer([[FAILED, BigInt(errno), 0n, step('write')]]).error(0);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^/c/0: write failed with ${name}; .{10}`));
  });

  it('of an errno without a name is an I/O error that tells its number', () => {
    const error = answer([[FAILED, 4095n, 0n, step('read')]]).error(0);
    expect(error).toMatchObject({ code: 'KVO_IO', message: expect.stringContaining('errno 4095') as string });
  });
});

describe('an operation that was given up', () => {
  it.each([STUCK, FAILED])('is stuck (outcome %s, without a step)', (outcome) => {
    const error = answer([[outcome, BigInt(constants.errno.ETIMEDOUT), 0n, 0n]]).error(0);
    expect(error).toMatchObject({ code: 'KVO_IO_STUCK', retriable: false });
    expect(error.message).toContain('blocking_timeout_secs');
  });
});

describe('an operation that was dropped', () => {
  it('was aborted, with the signal’s reason', () => {
    const error = answer([[ABORTED, 0n, 0n, 0n]], false, AbortSignal.abort('enough')).error(0);
    expect(error).toMatchObject({ code: 'KVO_ABORTED', cause: 'enough' });
  });

  it('was closed where the engine was', () => {
    expect(answer([[ABORTED, 0n, 0n, 0n]], true).error(0).code).toBe('KVO_CLOSED');
  });

  it('never began: every one of the batch', () => {
    const outcomes = Outcomes.aborted(planExists(['/a', '/b']), false, undefined);
    expect([outcomes.count, outcomes.outcome(0), outcomes.outcome(1)]).toEqual([2, 'aborted', 'aborted']);
    expect(outcomes.error(1).message).toContain('/b');
  });
});

describe('an answer', () => {
  it('is read operation by operation', () => {
    const size = 5n * 2n ** 32n + 7n;
    const outcomes = answer([
      [0n, 0n, size, 1n],
      [1n, 0n, 0n, 0n],
      [2n, 0n, 4096n, 0n],
      [6n, 0n, 2n ** 32n - 1n, 2n],
    ]);
    expect([0, 1, 2, 3].map((i) => outcomes.outcome(i))).toEqual(['done', 'absent', 'exists', 'size-mismatch']);
    expect([0, 1, 2, 3].map((i) => outcomes.bytes(i))).toEqual([Number(size), 0, 4096, 2 ** 32 - 1]);
    expect([0, 1, 3].map((i) => outcomes.via(i))).toEqual(['buffered', 'nothing', 'direct']);
  });

  it('of a number that the door does not have is a bug, and said so', () => {
    expect(() => answer([[9n, 0n, 0n, 0n]]).outcome(0)).toThrow(RangeError);
    expect(() => answer([[0n, 0n, 0n, 0n]]).outcome(1)).toThrow(RangeError);
  });
});

describe('the name of an errno', () => {
  it('is the kernel’s', () => {
    expect([0, 28, 122, 95].map(errnoName)).toEqual(['no error', 'ENOSPC', 'EDQUOT', expect.stringMatching(/NOTSUP/)]);
  });
});
