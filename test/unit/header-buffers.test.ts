/** Memory for headers, lent and taken back. */
import { describe, expect, it } from 'vitest';
import { returnHeaders, takeHeaders } from '../../src/header-buffers.js';

const HEADER = 4096;
const MIB = 2 ** 20;

describe('memory for headers', () => {
  it.each([1, 2, 8, 9, 64, 65, 512, 513, 5000])(
    'for %i has their length, and is at most eight times as much',
    (count) => {
      const headers = takeHeaders(count);
      expect(headers.byteLength).toBe(count * HEADER);
      expect(headers.buffer.byteLength).toBeLessThanOrEqual(8 * headers.byteLength);
      returnHeaders(headers);
    },
  );

  it('is used again, by whoever needs as much', () => {
    const first = takeHeaders(5);
    first.fill(1);
    returnHeaders(first);
    const second = takeHeaders(8);
    expect(second.buffer).toBe(first.buffer);
    expect(takeHeaders(8).buffer).not.toBe(first.buffer);
    returnHeaders(second);
  });

  it('is given up beyond 64 MiB', () => {
    const lent = Array.from({ length: 40 }, () => takeHeaders(512));
    expect(new Set(lent.map(({ buffer }) => buffer)).size).toBe(40);
    for (const headers of lent) returnHeaders(headers);
    const known = new Set(lent.map(({ buffer }) => buffer));
    const again = Array.from({ length: 40 }, () => takeHeaders(512));
    const kept = again.filter(({ buffer }) => known.has(buffer)).length;
    // Some of it may be taken by smaller pieces that other tests gave back.
    expect(kept).toBeGreaterThan(24);
    expect(kept * 2 * MIB).toBeLessThanOrEqual(64 * MIB);
  });
});
