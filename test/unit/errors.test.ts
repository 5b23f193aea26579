import { describe, expect, it } from 'vitest';

import { ERROR_CODES, type ErrorCode, KVOffloadError } from '../../src/errors.js';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe('an error', () => {
  it.each(codes)('%s tells its code, its message, and whether to try again', (code) => {
    const error = new KVOffloadError(code, 'what was wrong');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code, name: 'KVOffloadError', message: 'what was wrong' });
    expect(error.retriable).toBe(ERROR_CODES[code].retriable);
    expect('cause' in error).toBe(false);
  });

  it('keeps what was below it, a false value too', () => {
    expect(new KVOffloadError('KVO_ABORTED', 'ended', 'reason').cause).toBe('reason');
    expect(new KVOffloadError('KVO_ABORTED', 'ended', 0).cause).toBe(0);
  });

  it('prints its code', () => {
    expect(JSON.stringify(new KVOffloadError('KVO_BUSY', 'all out'))).toContain('KVO_BUSY');
  });
});

describe('the table of codes', () => {
  it('names each in one style, with one meaning', () => {
    for (const code of codes) expect(code).toMatch(/^KVO(_[A-Z0-9]+)+$/);
    const meanings = codes.map((code) => ERROR_CODES[code].meaning);
    expect(new Set(meanings).size).toBe(codes.length);
  });

  it('calls retriable only what a second try can change without the caller changing anything', () => {
    expect(codes.filter((code) => ERROR_CODES[code].retriable)).toEqual([
      'KVO_NO_SPACE',
      'KVO_TOO_MANY_FILES',
      'KVO_IO',
      'KVO_ABORTED',
      'KVO_BUSY',
      'KVO_DEVICE_MEMORY',
      'KVO_GDS',
    ]);
  });
});
