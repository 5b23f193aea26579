/** Two GPUs in one process, an engine each, on one directory. */
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { outcomesOf, thrown } from '../support/outcomes.js';
import { tokens } from '../support/payload.js';
import { fill, onTwoGpus, openGpuEngine, poison, wrong } from './gpu.js';

const BYTES = 9 * 2 ** 20;
const COUNT = 24;

onTwoGpus('two GPUs', () => {
  it.each(['staged', 'gds'])('move chunks at once, and each retrieves what the other stored: %s', async (transport) => {
    const base = temporaryDirectory();
    const engines = await Promise.all(
      [0, 1].map((index) =>
        openGpuEngine({ base, bytes: BYTES, chunks: COUNT, own: { device: `cuda:${index}`, transport } }),
      ),
    );
    const sides = await Promise.all(
      engines.map(async (engine, index) => {
        const slots = await engine.lease(COUNT);
        return { engine, index, slots, sources: fill(slots, index), prompt: tokens(COUNT, index) };
      }),
    );
    const stored = await Promise.all(sides.map(({ engine, prompt, slots }) => engine.store(prompt, slots)));
    for (const result of stored) expect(new Set(outcomesOf(result))).toEqual(new Set(['stored']));
    const prompts = sides.map(({ prompt }) => prompt).reverse();
    for (const { slots } of sides) poison(slots);
    const retrieved = await Promise.all(
      sides.map(({ engine, slots }, side) => engine.retrieve(prompts[side] ?? [], slots)),
    );
    for (const [side, { slots, engine, index }] of sides.entries()) {
      expect(engine.transport.device?.index).toBe(index);
      expect(retrieved[side]?.tokens).toBe(COUNT);
      expect(wrong(slots, sides[1 - side]?.sources ?? [])).toEqual([]);
    }
    const [one, two] = sides;
    if (!one || !two) return expect.fail('two sides');
    expect(await thrown(() => one.engine.store(one.prompt, two.slots))).toMatchObject({ code: 'KVO_MEMORY_INVALID' });
  });
});
