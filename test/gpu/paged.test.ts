/** Paged memory: blocks of any length at any place, with bytes between them that are nobody's. */
import { expect, it } from 'vitest';
import type { ChunkMemory, DeviceRegion } from '../../src/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { payload, tokens } from '../support/payload.js';
import { POISON, fill, onGpu, openGpuEngine, poison, wrong } from './gpu.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const CHUNKS = 3;
const MOST_BYTES = 6 * MIB;
const MOST_BLOCKS = 700;

interface Layout {
  readonly length: number;
  /** Bytes from one place to the next. */
  readonly stride: number;
  /** Where the first place begins. */
  readonly first: number;
}

const LAYOUTS: readonly (Layout & { readonly what: string })[] = [
  ...[512, KIB, 2 * KIB, 16 * KIB, 64 * KIB, MIB].map((length) => {
    return { what: 'neighbours', length, stride: length, first: 0 };
  }),
  ...[512, 4 * KIB, 64 * KIB, MIB].map((length) => {
    return { what: 'with gaps, by 16 bytes', length, stride: length + 48, first: 16 };
  }),
  ...[512, 513, 1000, 1021, 4095, 8 * KIB + 8, 16 * KIB - 4, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB + 3].map(
    (length) => ({ what: 'with gaps, by no boundary', length, stride: length + 7, first: 3 }),
  ),
  { what: 'of one byte', length: 1, stride: 2, first: 1 },
];
const CASES = LAYOUTS.flatMap((layout) => [
  { ...layout, transport: 'staged' },
  { ...layout, transport: 'gds' },
]);

/** Scattered places: block i of all lies at place (i × step) mod count. */
class Pages {
  readonly length: number;
  readonly blocks: number;
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.length = layout.length;
    this.blocks = Math.max(2, Math.min(MOST_BLOCKS, Math.floor(MOST_BYTES / CHUNKS / layout.length)));
  }

  get bytes(): number {
    return this.#layout.first + this.#layout.stride * this.blocks * CHUNKS;
  }

  /** Where a chunk's blocks lie. */
  places(chunk: number): number[] {
    const count = this.blocks * CHUNKS;
    // Coprime to the count, whose prime factors other than 3 are those of `blocks`.
    let step = Math.floor(count * 0.618) + 1;
    while (gcd(step, count) !== 1) step++;
    return Array.from({ length: this.blocks }, (_, block) => {
      const place = ((chunk * this.blocks + block) * step) % count;
      return this.#layout.first + place * this.#layout.stride;
    });
  }

  memory(memory: DeviceRegion, chunk: number): ChunkMemory {
    return { memory, offsets: BigUint64Array.from(this.places(chunk), BigInt), length: this.length };
  }

  /** What all of the memory holds, where each chunk's blocks hold its payload. */
  image(payloads: readonly Uint8Array[]): Buffer {
    const image = Buffer.alloc(this.bytes, POISON);
    for (const [chunk, bytes] of payloads.entries()) {
      for (const [block, place] of this.places(chunk).entries()) {
        image.set(bytes.subarray(block * this.length, (block + 1) * this.length), place);
      }
    }
    return image;
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** The first byte that differs, or -1. */
function firstDifference(a: Buffer, b: Buffer): number {
  return a.equals(b) ? -1 : a.findIndex((byte, i) => byte !== b[i]);
}

onGpu('blocks', () => {
  it.each(CASES)('of $length bytes, $what, transport $transport', async ({ transport, ...layout }) => {
    const pages = new Pages(layout);
    const bytes = pages.blocks * pages.length;
    const own = { transport, checksums: true };
    const engine = await openGpuEngine({ base: temporaryDirectory(), bytes, chunks: CHUNKS, own });
    const pool = await engine.allocateDevice(pages.bytes);
    const slots = await engine.lease(CHUNKS);
    const chunks = [...slots.keys()];
    const memory = chunks.map((chunk) => pages.memory(pool, chunk));
    const prompt = engine.prepare(tokens(CHUNKS));

    const sources = chunks.map((chunk) => payload(chunk, bytes));
    pool.copyFrom(pages.image(sources));
    const stored = await engine.store(prompt, memory);
    expect(stored.chunks.find((chunk) => chunk.error)?.error).toBeUndefined();
    expect(stored.present).toBe(CHUNKS);
    poison(slots);
    expect((await engine.retrieve(prompt, slots)).tokens).toBe(CHUNKS);
    expect(wrong(slots, sources)).toEqual([]);

    // Other chunks, so that what lay there before does not count; and nothing between the blocks is touched.
    const other = engine.prepare(tokens(CHUNKS, 1));
    const others = fill(slots, 7);
    expect((await engine.store(other, slots)).present).toBe(CHUNKS);
    pool.copyFrom(pages.image([]));
    const retrieved = await engine.retrieve(other, memory);
    expect(retrieved.chunks.find((chunk) => chunk.error)?.error).toBeUndefined();
    expect(retrieved.tokens).toBe(CHUNKS);
    const held = Buffer.alloc(pages.bytes);
    pool.copyTo(held);
    expect(firstDifference(held, pages.image(others))).toBe(-1);
  });

  it('may be parts of several memories', async () => {
    const bytes = 5 * KIB + 3;
    const engine = await openGpuEngine({ base: temporaryDirectory(), bytes, chunks: 2, own: { checksums: true } });
    const [first, second] = [await engine.allocateDevice(4 * KIB), await engine.allocateDevice(4 * KIB)];
    const [slot, whole] = await engine.lease(2);
    if (slot === undefined || whole === undefined) expect.fail('no slots');
    const parts = [
      { memory: first, offset: 5, length: 1 },
      { memory: second, offsets: BigUint64Array.of(3000n, 1000n, 0n), length: 512 },
      { memory: slot, offset: 17, length: 2 * KIB },
      { memory: first, offset: 64, length: bytes - 1 - 3 * 512 - 2 * KIB },
    ];
    const prompt = engine.prepare(tokens(1));
    const [source = expect.fail('no payload')] = fill([whole]);
    expect((await engine.store(prompt, [whole])).present).toBe(1);
    expect((await engine.retrieve(prompt, [parts])).tokens).toBe(1);
    const again = engine.prepare(tokens(1, 1));
    expect((await engine.store(again, [parts])).present).toBe(1);
    poison([whole]);
    expect((await engine.retrieve(again, [whole])).tokens).toBe(1);
    expect(wrong([whole], [source])).toEqual([]);
  });
});
