/** The demo's check of every byte is worth what its check function is worth. */
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

/** What of examples/demo/seeded-bytes.mjs, plain JavaScript, is used here. */
interface SeededBytes {
  fillSeeded(bytes: Uint8Array, seed: number): void;
  firstDifference(bytes: Uint8Array, seed: number): number;
}

let seeded: SeededBytes;
beforeAll(async () => {
  seeded = (await import(
    fileURLToPath(new URL('../../examples/demo/seeded-bytes.mjs', import.meta.url))
  )) as SeededBytes;
});

describe('seeded bytes', () => {
  it('are the same again from the same seed', () => {
    const bytes = new Uint8Array(4096);
    seeded.fillSeeded(bytes, 3);
    expect(seeded.firstDifference(bytes, 3)).toBe(-1);
  });

  it('show any single byte that was changed', () => {
    fc.assert(
      fc.property(
        fc.nat(4095),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 1000 }),
        (at, flip, seed) => {
          const bytes = new Uint8Array(4096);
          seeded.fillSeeded(bytes, seed);
          bytes[at] = (bytes[at] ?? 0) ^ flip;
          expect(seeded.firstDifference(bytes, seed)).toBe(at - (at % 4));
        },
      ),
    );
  });

  it('differ in every word between chunks', () => {
    const one = new Uint8Array(65536);
    const other = new Uint8Array(65536);
    seeded.fillSeeded(one, 1);
    seeded.fillSeeded(other, 2);
    const words = new Uint32Array(other.buffer);
    expect(new Uint32Array(one.buffer).some((word, i) => word === words[i])).toBe(false);
  });

  it('show memory that was never filled', () => {
    expect(seeded.firstDifference(new Uint8Array(64), 1)).toBe(0);
  });

  it('refuse memory that is not whole words', () => {
    expect(() => {
      seeded.fillSeeded(new Uint8Array(10), 1);
    }).toThrow(/10 bytes/);
  });
});
